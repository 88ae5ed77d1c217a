"""Pairs labelled on 2026-11-30, before the rules were changed for what a fresh reviewer found, and not changed after it.

Written by an author of the rules who knew what the reviewer's ten had shown: it is a test of kinds, not of strangers' wording.
What the two sentences alone do not decide is `related`. Docs/adr/0038 has the figures, tests/unit/test_comparing.py a floor.
"""

from tests.comparison_pairs import A, C, Pair, R

LATER = (
    # Conflicting: negated requirements, and what ends against what stays
    Pair("Send a weekly newsletter to all customers.", "We no longer send newsletters to customers.", C),
    Pair(
        "Do not renew the contract with the logistics partner.",
        "We renew the contract with our logistics partner for five years.",
        C,
    ),
    Pair("Close the factory in Graz at the end of 2027.", "The factory in Graz stays open.", C),
    Pair("Keep the print magazine.", "We discontinue the print magazine in 2027.", C),
    Pair("Stop the training programme for apprentices.", "We expand the training programme for apprentices.", C),
    Pair("Give every employee a company car.", "Company cars are abolished.", C),
    Pair("Hire 15 people in marketing in 2027.", "Marketing hires nobody in 2027.", C),
    Pair("Ship orders on Sundays.", "Orders are never shipped on weekends.", C),
    # Figures in other units, dates
    Pair("An incident report may take three days.", "Incident reports are due within 24 hours.", C),
    Pair("Customers wait up to 10 minutes on the hotline.", "Nobody waits longer than 90 seconds on the hotline.", C),
    Pair("Pay suppliers after 60 days.", "Suppliers are paid in less than 30 days.", C),
    Pair(
        "Increase the share of suppliers from China to 40 percent.",
        "No more than 25 percent of our suppliers are from China.",
        C,
    ),
    Pair("Delay the launch of the mobile bank to autumn 2027.", "The mobile bank is launched by 31 May 2027.", C),
    # Places, preferences, only one way
    Pair("Move the research team to Lyon.", "The research team stays in Munich.", C),
    Pair("Backups are kept in Singapore.", "All backups are kept in Finland.", C),
    Pair("Replace Linux by Windows on all servers.", "We prefer Linux to Windows on servers.", C),
    Pair("Write the new services in Java.", "New services are written in Go or Rust.", C),
    Pair("Advertise on television.", "We advertise only online.", C),
    Pair("Recruit managers through headhunters.", "Managers are recruited exclusively from within the company.", C),
    Pair("Offer the premium plan to private customers.", "The premium plan is for business customers only.", C),
    Pair("Let contractors access production systems.", "Only employees have access to production systems.", C),
    Pair(
        "Use customer photos in advertisements without asking them.",
        "Customer photos are used in advertisements only with consent.",
        C,
    ),
    # Aligned
    Pair("Never store passwords in plain text.", "Passwords must not be stored in plain text.", A),
    Pair("Close the warehouse in Linz by May 2027.", "The warehouse in Linz is closed by 30 June 2027.", A),
    Pair("Answer every complaint within 12 hours.", "Complaints are answered within two days.", A),
    Pair("Keep all backups in Finland.", "All backups stay in Finland.", A),
    Pair(
        "Sell the software through certified dealers.", "Our software is sold exclusively through certified dealers.", A
    ),
    Pair(
        "Choose an open-source message broker rather than a proprietary one.",
        "Open-source software is preferred over proprietary software.",
        A,
    ),
    Pair("Stop advertising on television.", "We no longer advertise on television.", A),
    Pair("The hotline answers within 60 seconds.", "Nobody waits longer than 90 seconds on the hotline.", A),
    Pair("Retire the fax gateway in 2027.", "The fax gateway is switched off by the end of 2027.", A),
    Pair("Raise the training budget by 5 percent.", "The training budget grows by at most 8 percent a year.", A),
    Pair("Do not hire consultants for routine work.", "We avoid consultants for routine work.", A),
    # Related: the same topic, and nothing that one of them says decides the other
    Pair("Lower prices for new customers.", "Prices for existing customers are not lowered.", R),
    Pair("Survey our staff about remote work.", "Employees work remotely at most two days a week.", R),
    Pair("Write a report on the suppliers that we lost in 2024.", "We do not change suppliers before 2028.", R),
    Pair("Answer support calls on Tuesdays until 8 pm.", "Support is closed on Sundays.", R),
    Pair("Hire 30 drivers.", "The office in Hamburg has at most 20 desks for drivers.", R),
    Pair("Compare the costs of leasing and buying company cars.", "Company cars are leased.", R),
    Pair("Print the annual report on recycled paper.", "The annual report appears in March.", R),
    Pair("The internal wiki may be edited by everyone.", "External documentation is not edited without review.", R),
    Pair("Domestic orders ship free of charge.", "Foreign orders are never shipped free of charge.", R),
    Pair("Study the market for used cars in Italy.", "We do not sell new cars in Italy.", R),
    Pair("The database for the test environment moves to Dublin.", "The production database stays in Zurich.", R),
    Pair("Employees take 30 days of holiday a year.", "Employees spend at least 10 days a year in training.", R),
)
