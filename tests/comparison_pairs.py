"""Pairs of a requirement and a statement of strategy, labelled by hand before the method that judges them was written.

`DEVELOPMENT` is what the method was made with, and what reviewers found; `HELD_OUT` was judged once when it was done. Pairs that
were labelled later are in comparison_pairs_later.py and comparison_pairs_last.py. The figures of all, then and now, stand in
docs/adr/0038; tests/unit/test_comparing.py keeps a floor under them.
"""

from typing import NamedTuple

from contracts.comparison import Relation


class Pair(NamedTuple):
    requirement: str
    strategy: str
    relation: Relation


C: Relation = "conflicting"
A: Relation = "aligned"
U: Relation = "unrelated"
R: Relation = "related"

EU_ONLY = "We do not store customer data outside of the European Union."
LIVE_BEFORE_JUNE = "The customer portal must be live before June 2027."

DEVELOPMENT = (
    # What a fresh reviewer found
    Pair("Do not expand into Austria.", "We expand into Austria and Germany in 2027.", C),
    Pair(
        "Move all customer data to a data centre in Ireland.",
        "All customer data stays in data centres in Switzerland.",
        C,
    ),
    Pair("Keep the Bern office open until 2030.", "We will shut down the Bern office by 1 June 2027.", C),
    Pair(
        "A page of the shop may take up to 2 seconds to answer.",
        "A page of the shop must answer within 300 ms.",
        C,
    ),
    Pair(
        "Replace PostgreSQL by Oracle, a proprietary database.",
        "We prefer open-source databases over proprietary ones.",
        C,
    ),
    Pair(
        "Employees may work from home five days a week.",
        "Employees are in the office at least three days a week.",
        R,
    ),
    Pair(
        "Raise the price for new customers in 2027.",
        "We will not raise subscription prices for existing customers before 2028.",
        R,
    ),
    Pair(
        "Write a history of our subscription prices since 2010.",
        "We will not raise subscription prices for existing customers before 2028.",
        R,
    ),
    Pair("We support customers on Mondays.", "Support is not offered on weekends.", R),
    Pair(
        "Sell directly to end customers through our own web shop.",
        "Sales happen exclusively through certified partners.",
        C,
    ),
    # Prohibitions of one case only, found by a reviewer
    Pair("We store customer data in the European Union.", EU_ONLY, A),
    Pair("Customer data is stored in Germany.", EU_ONLY, U),
    Pair("Host the customer database in Frankfurt.", EU_ONLY, U),
    Pair("Customer data is stored outside of the European Union.", EU_ONLY, C),
    Pair("Store customer data outside the EU.", EU_ONLY, C),
    Pair("Customer data must be stored within the EU.", "Customer data must not be stored outside the EU.", A),
    Pair("Every release goes live with its tests.", "No release goes live without tests.", A),
    Pair("The first release goes live without tests.", "No release goes live without tests.", C),
    Pair("Open a shop in Berlin.", "We do not open shops outside of Germany.", U),
    # Last days, found by the same
    Pair("The customer portal must be live before September 2027.", LIVE_BEFORE_JUNE, C),
    Pair("The customer portal must be live by September 2027.", LIVE_BEFORE_JUNE, C),
    Pair("The customer portal must be live before 1 September 2027.", LIVE_BEFORE_JUNE, C),
    Pair("The customer portal goes live in October 2027.", LIVE_BEFORE_JUNE, C),
    Pair("The customer portal will be live in October 2027.", LIVE_BEFORE_JUNE, C),
    Pair("The customer portal goes live not before September 2027.", LIVE_BEFORE_JUNE, C),
    Pair("The customer portal must be live before March 2027.", LIVE_BEFORE_JUNE, A),
    Pair("The customer portal goes live in May 2027.", LIVE_BEFORE_JUNE, A),
    Pair("The customer portal must be live before July 2027.", "The customer portal must be live by June 2027.", A),
    Pair(
        "The customer portal must be live by September 2027 for at most 400,000 EUR.",
        "The customer portal may cost at most 200,000 EUR.",
        C,
    ),
    Pair("The customer portal must be live by September 2027 for at most 400,000 EUR.", LIVE_BEFORE_JUNE, C),
    Pair(
        "The customer portal must be live by September 2027 for at most 400,000 EUR.",
        "The customer portal must be live before June 2027 for at most 500,000 EUR.",
        C,
    ),
    Pair("The customer portal must be live before May 2027, and bills come in October 2027.", LIVE_BEFORE_JUNE, A),
    Pair("Start the customer portal in May 2027 and have it live by September 2027.", LIVE_BEFORE_JUNE, C),
    Pair("Build a customer portal in 2027.", "Customer portals built before 2020 are replaced.", A),
    # Freezes, prohibitions, negations
    Pair(
        "Build a self-service portal for small-business customers.",
        "No new customer-facing portals are built before 2028.",
        C,
    ),
    Pair(
        "Can we launch a customer portal this year?",
        "All new customer portals are frozen until the billing system is replaced.",
        C,
    ),
    Pair(
        "We want to hire twelve engineers for the data platform.",
        "There is a hiring freeze in engineering for the whole of next year.",
        C,
    ),
    Pair("The team will open a sales office in Vienna.", "We will not open further sales offices in Europe.", C),
    Pair(
        "Customer data is sent to an external analytics provider.",
        "Customer data must not leave our own systems for external providers.",
        C,
    ),
    Pair(
        "Start a loyalty programme for prepaid customers.",
        "The company stops all loyalty programmes in the prepaid segment.",
        C,
    ),
    Pair(
        "We should train a model on support conversations.",
        "Support conversations may never be used to train models.",
        C,
    ),
    Pair("Migrate the payroll system in December.", "No system is migrated in December.", C),
    Pair(
        "Offer a discount of 20 % to customers who threaten to leave.",
        "Discounts for customers who threaten to leave are prohibited.",
        C,
    ),
    # Limits
    Pair("The portal project needs a budget of 900,000 EUR.", "Portal projects may cost at most 500,000 EUR.", C),
    Pair("The migration takes 14 months.", "A migration may take no more than 6 months.", C),
    Pair("The team for the new app grows to 25 engineers.", "The app team has a maximum of 15 engineers.", C),
    Pair(
        "We plan a price increase of 12 % for the business tariff.",
        "Price increases of the business tariff are capped at 5 %.",
        C,
    ),
    Pair(
        "The service can be down for 6 hours during the upgrade.",
        "The service may be down for at most 30 minutes during an upgrade.",
        C,
    ),
    Pair("Suppliers are paid after 90 days.", "We pay suppliers within 30 days.", C),
    # Deadlines
    Pair(
        "The new billing system goes live in Q3 2027.",
        "The new billing system must be live by the end of March 2027.",
        C,
    ),
    Pair("We deliver the mobile app by December 2028.", "The mobile app is due by 30 June 2028.", C),
    # Opposites
    Pair("We build our own identity service.", "Identity services are bought, not built.", C),
    Pair("Expand the retail business to Poland.", "We withdraw from the retail business in Poland.", C),
    Pair("Host the warehouse system in the public cloud.", "The warehouse system stays on-premises.", C),
    Pair("Outsource first-level support to a partner.", "First-level support is kept in-house.", C),
    Pair("Raise the marketing budget for next year.", "The marketing budget is cut next year.", C),
    Pair("Sell the hardware directly to end customers.", "Hardware is sold only through resellers.", C),
    Pair("We centralise procurement at headquarters.", "Procurement is decentralised to the regions.", C),
    # Aligned
    Pair(
        "Build a self-service portal for small-business customers.",
        "Small-business customers get a self-service portal in 2027.",
        A,
    ),
    Pair("Hire twelve engineers for the data platform.", "We invest in the data platform and add engineers to it.", A),
    Pair("The portal project needs a budget of 400,000 EUR.", "Portal projects may cost at most 500,000 EUR.", A),
    Pair(
        "The new billing system goes live in January 2027.",
        "The new billing system must be live by the end of March 2027.",
        A,
    ),
    Pair("Reduce churn among small-business customers.", "Keeping small-business customers is our first priority.", A),
    Pair("Open a sales office in Vienna.", "We expand our sales organisation to Austria.", A),
    Pair(
        "Migrate the warehouse system to the public cloud.",
        "All systems of the warehouse move to the cloud by 2028.",
        A,
    ),
    Pair("We buy an identity service from a vendor.", "Identity services are bought, not built.", A),
    Pair(
        "No customer data is sent to external providers.",
        "Customer data must not leave our own systems for external providers.",
        A,
    ),
    Pair("Sell the hardware through resellers.", "Hardware is sold only through resellers.", A),
    Pair(
        "The upgrade needs 20 minutes of downtime of the service.",
        "The service may be down for at most 30 minutes during an upgrade.",
        A,
    ),
    Pair("Cut the marketing budget by a tenth.", "The marketing budget is cut next year.", A),
    Pair("The customer portal launches in 2029.", "No new customer-facing portals are built before 2028.", A),
    Pair("Keep first-level support in our own call centre.", "First-level support is kept in-house.", A),
    Pair("Suppliers are paid after 14 days.", "We pay suppliers within 30 days.", A),
    Pair(
        "Improve the reliability of the billing system.",
        "Billing must become reliable: it is what customers complain of most.",
        A,
    ),
    # Unrelated
    Pair(
        "Build a self-service portal for small-business customers.",
        "We will not open further sales offices in Europe.",
        U,
    ),
    Pair("Hire twelve engineers for the data platform.", "Portal projects may cost at most 500,000 EUR.", U),
    Pair("The portal project needs a budget of 900,000 EUR.", "Business trips may cost at most 2,000 EUR.", U),
    Pair("Migrate the payroll system in December.", "No new stores are opened in December.", U),
    Pair("Raise the price of the business tariff.", "The number of suppliers is cut by a third.", U),
    Pair("We want to launch a mobile app.", "The canteen is closed until May.", U),
    Pair("Outsource first-level support to a partner.", "The company buys back its own shares.", U),
    Pair("Expand the retail business to Poland.", "Electricity use in the data centres must not grow.", U),
    Pair("The migration takes 14 months.", "Parental leave is at most 14 months.", U),
    Pair("We should train a model on support conversations.", "Managers are trained in leadership each year.", U),
    Pair("Customer data is sent to an external analytics provider.", "Our brand colours are never changed.", U),
    Pair("Reduce the time to resolve incidents.", "We enter the Japanese market with a partner.", U),
    Pair("Host the warehouse system in the public cloud.", "Company cars are leased, not bought.", U),
    Pair("Open a sales office in Vienna.", "Open source licences are reviewed by the legal department.", U),
    Pair("Introduce two-factor authentication for administrators.", "Dividends stay at 2 EUR a share.", U),
    Pair(
        "Offer a discount of 20 % to customers who threaten to leave.",
        "Women hold 40 % of management positions by 2030.",
        U,
    ),
)

HELD_OUT = (
    # Conflicting
    Pair(
        "We should set up a second data centre in Frankfurt.",
        "No further data centres are set up; capacity comes from providers.",
        C,
    ),
    Pair(
        "The chatbot answers customers without a human in between.",
        "A chatbot must not answer customers without a human in between.",
        C,
    ),
    Pair(
        "Roll out the new store design in all cities this year.",
        "The roll-out of the new store design is suspended until 2029.",
        C,
    ),
    Pair("Acquire a small logistics company.", "We avoid acquisitions in logistics.", C),
    Pair(
        "Rewrite the pricing engine in Rust.",
        "Rewrites of the pricing engine are off the table until the merger is complete.",
        C,
    ),
    Pair("The campaign costs 250,000 EUR.", "A campaign must not cost more than 100,000 EUR.", C),
    Pair("We need 40 new call-centre agents.", "Call centres may grow by at most 10 agents.", C),
    Pair("Store customer recordings for 24 months.", "Customer recordings are kept no longer than 6 months.", C),
    Pair("The fleet is electric by 2032.", "The whole fleet is electric by 2029 at the latest.", C),
    Pair("Increase inventory before the holiday season.", "Inventory is reduced in every season.", C),
    Pair("Close the branch in Lisbon.", "The branch in Lisbon is expanded.", C),
    Pair("Develop the scheduling software internally.", "Scheduling software is purchased from the market.", C),
    Pair("Use several suppliers for batteries.", "Batteries come from a single supplier.", C),
    Pair("Move employees back to the office five days a week.", "Employees work remotely.", C),
    Pair("Publish the API as open source.", "The API stays proprietary.", C),
    # Aligned
    Pair(
        "Rent additional capacity from a cloud provider instead of a data centre of our own.",
        "No further data centres are set up; capacity comes from providers.",
        A,
    ),
    Pair("Prepare the electric fleet for 2028.", "The whole fleet is electric by 2029 at the latest.", A),
    Pair("The campaign costs 80,000 EUR.", "A campaign must not cost more than 100,000 EUR.", A),
    Pair("Delete customer recordings after 3 months.", "Customer recordings are kept no longer than 6 months.", A),
    Pair("Lower the stock of spare parts.", "Inventory of spare parts is reduced in every season.", A),
    Pair("Add opening hours at the branch in Lisbon.", "The branch in Lisbon is expanded.", A),
    Pair("Buy scheduling software from a vendor.", "Scheduling software is purchased from the market.", A),
    Pair("Let employees choose to work from home.", "Employees work remotely.", A),
    Pair("Automate the invoicing of energy customers.", "Invoicing of energy customers becomes fully automatic.", A),
    Pair("Improve the response time of the call centre.", "Customers reach the call centre within a minute.", A),
    Pair(
        "A person checks every answer of the chatbot before the customer sees it.",
        "A chatbot must not answer customers without a human in between.",
        A,
    ),
    Pair(
        "Strengthen security training for all developers.",
        "Security is everybody's task: every developer is trained once a year.",
        A,
    ),
    Pair("Enter the Danish market with a partner.", "We grow in Scandinavia, always together with partners.", A),
    # Unrelated
    Pair("Rewrite the pricing engine in Rust.", "We avoid acquisitions in logistics.", U),
    Pair("Store customer recordings for 24 months.", "Loans run for at most 12 months.", U),
    Pair("Acquire a small logistics company.", "Employees work remotely.", U),
    Pair("The campaign costs 250,000 EUR.", "A server rack must not cost more than 100,000 EUR.", U),
    Pair("Set up monitoring for the database cluster.", "No new agencies are hired for advertising.", U),
    Pair("Close the branch in Lisbon.", "Source code branches are merged within a day.", U),
    Pair("We need 40 new call-centre agents.", "The board has at most 9 members.", U),
    Pair("Use several suppliers for batteries.", "The annual report appears in a single language.", U),
    Pair("Publish the API as open source.", "Publishing salaries is prohibited.", U),
    Pair("Increase inventory before the holiday season.", "Carbon emissions are reduced every year.", U),
    Pair("Move employees back to the office five days a week.", "Milk is delivered two days a week.", U),
    Pair("Prepare the electric fleet for 2028.", "The pension plan is closed to new members from 2028.", U),
)
