"""A small corpus and labelled questions about it: what confidence is fitted to, and measured by.

Written by hand for this purpose, before the formula was fitted. A case names what its answer has to say (`facts`, as they stand
in the corpus) and what would be wrong (`wrong`, mostly an older figure); without `facts` the corpus has no answer. How right an
answer is follows from its summary alone (`tests/calibration.py`). Cases with an even number are fitted to, the others held out.
"""

from typing import NamedTuple


class Item(NamedTuple):
    title: str
    text: str
    category: str
    age_days: int


class Case(NamedTuple):
    question: str
    facts: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


CORPUS = (
    Item(
        "Churn report 2026",
        "Churn among small-business customers was 18.4 % in the third quarter. "
        "Most of those who left named billing errors as the reason.",
        "customer_insights",
        40,
    ),
    Item(
        "Churn report 2023",
        "Churn among small-business customers was 11.2 % in the year. Price was named most often as the reason.",
        "customer_insights",
        1100,
    ),
    Item(
        "Support desk review",
        "The support desk answers a call after 7 minutes on average. Half of all calls are about wrong invoices.",
        "operational_metrics",
        25,
    ),
    Item(
        "Support desk review 2022",
        "The support desk answers a call after 3 minutes on average.",
        "operational_metrics",
        1400,
    ),
    Item(
        "Broadband market",
        "Our share of the regional broadband market is 23 %. The market grows by 4 % a year.",
        "market_intelligence",
        90,
    ),
    Item(
        "Competitor note",
        "Nordtel lowered its business tariff to 39 EUR a month in May. Nordtel has 31 % of the regional market.",
        "competitive_analysis",
        150,
    ),
    Item(
        "Portal study",
        "A self-service portal can be built on the billing platform within two quarters. "
        "The effort is 48 engineer-weeks.",
        "technology_roadmap",
        60,
    ),
    Item(
        "Roadmap",
        "The billing platform moves to version 9 in March. After that no release is planned until June.",
        "technology_roadmap",
        30,
    ),
    Item(
        "Incident of May",
        "The billing platform was down for 190 minutes on 3 May. The cause was a full disk on the database server.",
        "risk_management",
        200,
    ),
    Item(
        "Incident of August",
        "A certificate expired in August and the customer app could not log in for 45 minutes.",
        "risk_management",
        110,
    ),
    Item(
        "Budget",
        "The budget for digital projects is 2.4 million EUR. A third of it is reserved for the portal.",
        "financial_analysis",
        70,
    ),
    Item(
        "Budget of last year",
        "The budget for digital projects was 1.9 million EUR.",
        "financial_analysis",
        430,
    ),
    Item(
        "Staff plan",
        "Engineering has 64 people; 6 positions are open. A new engineer needs three months to become productive.",
        "human_resources",
        80,
    ),
    Item(
        "Data centre contract",
        "The contract for the data centre in Kassel ends on 31 December 2027. Leaving earlier costs 180,000 EUR.",
        "risk_management",
        300,
    ),
    Item(
        "Partner talks",
        "Helio Energy offers to bundle its tariff with our broadband. "
        "Helio Energy has 140,000 households as customers.",
        "partnership_opportunities",
        50,
    ),
    Item(
        "Strategy",
        "Keeping small-business customers is the first priority. New regions are entered with partners only.",
        "strategic_planning",
        120,
    ),
    Item(
        "Pricing test",
        "A discount of 10 % kept one in five customers who wanted to leave. A free router kept one in four.",
        "customer_insights",
        95,
    ),
    Item(
        "Satisfaction survey",
        "Satisfaction of business customers fell from 7.9 to 7.1 points. They are least satisfied with invoices.",
        "customer_insights",
        35,
    ),
    Item(
        "Security review",
        "The customer app stores session tokens without encryption. The review rates this as a high risk.",
        "risk_management",
        75,
    ),
    Item(
        "Backup test",
        "Restoring the customer database took 5 hours in the last test. The goal is 2 hours.",
        "operational_metrics",
        45,
    ),
    Item(
        "Sales figures",
        "Sales closed 212 new contracts in the third quarter. The average contract is worth 5,400 EUR a year.",
        "financial_analysis",
        55,
    ),
    Item(
        "Sales figures before",
        "Sales closed 260 new contracts in the second quarter.",
        "financial_analysis",
        150,
    ),
    Item(
        "Pipeline",
        "The pipeline holds 88 open deals worth 1.1 million EUR. Twelve of them are larger than 30,000 EUR.",
        "financial_analysis",
        20,
    ),
    Item(
        "Fibre rollout",
        "Fibre reaches 61 % of the households in the region. The rollout in Fulda is six months late.",
        "operational_metrics",
        65,
    ),
    Item(
        "Energy costs",
        "Electricity for the data centres costs 640,000 EUR a year. A new cooling system would save a fifth.",
        "operational_metrics",
        130,
    ),
    Item(
        "Works council",
        "The works council agreed to on-call duty at weekends. An on-call weekend is paid with 300 EUR.",
        "human_resources",
        210,
    ),
    Item(
        "Warehouse",
        "Routers for six weeks are in stock. The supplier delivers within 20 days.",
        "operational_metrics",
        15,
    ),
    Item(
        "Regulator",
        "The regulator caps wholesale prices at 16 EUR a line from January. Our wholesale revenue would fall by 8 %.",
        "market_intelligence",
        85,
    ),
    Item(
        "Mobile app",
        "The customer app has 52,000 monthly users. Two thirds of them use it to look at invoices.",
        "customer_insights",
        28,
    ),
    Item(
        "Legal note",
        "Contracts with business customers run for 24 months. They renew by a month at a time after that.",
        "strategic_planning",
        260,
    ),
    Item(
        "Cloud trial",
        "The trial moved the reporting system to the cloud and cost 22 % less than before. "
        "Latency rose by 12 milliseconds.",
        "technology_roadmap",
        100,
    ),
    Item(
        "Training",
        "Every developer had two days of security training this year.",
        "human_resources",
        140,
    ),
)

CASES = (
    Case("How high is churn among small-business customers?", ("18.4 %",), ("11.2 %",)),
    Case("What is our share of the regional broadband market?", ("23 %",)),
    Case("Why do small-business customers leave?", ("billing errors",), ("Price was named",)),
    Case("How long does the support desk take to answer a call?", ("7 minutes",), ("3 minutes",)),
    Case("What are calls to the support desk about?", ("wrong invoices",)),
    Case("What does Nordtel charge for its business tariff?", ("39 EUR",)),
    Case("How large is Nordtel's market share?", ("31 %",)),
    Case("How long would it take to build the self-service portal?", ("two quarters",)),
    Case("How many engineer-weeks is the portal?", ("48 engineer-weeks",)),
    Case("When does the billing platform move to version 9?", ("March",)),
    Case("What caused the outage of the billing platform in May?", ("full disk",)),
    Case("How long was the billing platform down?", ("190 minutes",)),
    Case("Why could the customer app not log in in August?", ("certificate expired",)),
    Case("What is the budget for digital projects?", ("2.4 million EUR",), ("1.9 million EUR",)),
    Case("How much of the digital budget is reserved for the portal?", ("A third",)),
    Case("How many engineering positions are open?", ("6 positions",)),
    Case("When does the data centre contract in Kassel end?", ("31 December 2027",)),
    Case("What would it cost to leave the data centre contract earlier?", ("180,000 EUR",)),
    Case("What does Helio Energy offer?", ("bundle its tariff",)),
    Case("How many customers does Helio Energy have?", ("140,000 households",)),
    Case("How do we enter new regions?", ("with partners only",)),
    Case("How well did the discount keep customers who wanted to leave?", ("one in five",)),
    Case("Does a free router keep more customers than a discount?", ("one in four", "one in five")),
    Case("How satisfied are business customers?", ("7.1 points",)),
    Case("What are business customers least satisfied with?", ("invoices",)),
    Case("What risk did the security review find in the customer app?", ("without encryption",)),
    Case("How long does restoring the customer database take, and what is the goal?", ("5 hours", "2 hours")),
    Case("How many new contracts did sales close in the third quarter?", ("212",), ("260",)),
    Case("What is an average contract worth?", ("5,400 EUR",)),
    Case("How much is the pipeline worth?", ("1.1 million EUR",)),
    Case("How many open deals are larger than 30,000 EUR?", ("Twelve",)),
    Case("What share of households does fibre reach?", ("61 %",)),
    Case("Where is the fibre rollout late, and by how much?", ("Fulda", "six months")),
    Case("What does electricity for the data centres cost?", ("640,000 EUR",)),
    Case("How could the data centres save electricity?", ("cooling system",)),
    Case("What is paid for an on-call weekend?", ("300 EUR",)),
    Case("For how long do we have routers in stock?", ("six weeks",)),
    Case("How fast does the router supplier deliver?", ("20 days",)),
    Case("What happens to wholesale prices in January?", ("16 EUR a line",)),
    Case("How much wholesale revenue would we lose through the regulator's cap?", ("8 %",)),
    Case("How many people use the customer app each month?", ("52,000",)),
    Case("What do people use the customer app for?", ("look at invoices",)),
    Case("How long do contracts with business customers run?", ("24 months",)),
    Case("What did the cloud trial save?", ("22 % less",)),
    Case("What did the cloud trial do to latency?", ("12 milliseconds",)),
    Case("How many days of security training did developers have?", ("two days",)),
    Case("How much does the market grow, and what is our share of it?", ("4 %", "23 %")),
    Case("What is the first priority of the strategy?", ("small-business customers",)),
    Case("How long until a new engineer is productive?", ("three months",)),
    Case(
        "Which incidents were there with the billing platform and the app, and how long did they last?",
        ("190 minutes", "45 minutes"),
    ),
    Case(
        "What do our customers complain of, in calls and in surveys?",
        ("wrong invoices", "least satisfied with invoices"),
    ),
    Case("How did sales develop from the second to the third quarter?", ("260", "212")),
    Case("What would make the app safer?", ("without encryption",)),
    Case("Who are our competitors, and what do they charge?", ("Nordtel", "39 EUR")),
    Case("Can we afford the portal, and do we have the people?", ("A third", "6 positions")),
    Case("How did churn change over the years?", ("18.4 %", "11.2 %")),
    # What the corpus does not know
    Case("How many vehicles are in our fleet?"),
    Case("What is the dividend for this year?"),
    Case("Who is the chief financial officer of Nordtel?"),
    Case("How many customers do we have in Spain?"),
    Case("What does the canteen cost us a year?"),
    Case("Which trade fairs do we attend?"),
    Case("How high is our share of the mobile market?"),
    Case("What was churn among private households?"),
    Case("How many square metres does the office in Berlin have?"),
    Case("When does the contract with the router supplier end?"),
    Case("What is the average salary of an engineer?"),
    Case("How many lines of code does the customer app have?"),
    Case("Which programming language is the billing platform written in?"),
    Case("What did the advertising campaign in spring bring?"),
    Case("How old is the network equipment on average?"),
    Case("What do analysts think of our share price?"),
    Case("How many patents do we hold?"),
    Case("What is the plan for succession of the board?"),
    Case("How much water do the data centres use?"),
    Case("When was the company founded?"),
    Case("What is the return rate of routers?"),
    Case("How many support agents speak Turkish?"),
    Case("Which bank gives us our credit line, and at what rate?"),
    Case("What did the flood of 2021 damage?"),
)
