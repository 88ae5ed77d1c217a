"""Pairs labelled on 2026-11-30 when the rules stood, to see what they are worth on others; judged once before they were changed.

Of the same author as the rules again. Docs/adr/0038 has the figures, tests/unit/test_comparing.py a floor.
"""

from tests.comparison_pairs import A, C, Pair, R

LAST = (
    # Conflicting
    Pair("We are going to stop paying bonuses to the sales team.", "The sales team keeps its bonuses.", C),
    Pair("Let the old billing system run until the end of 2029.", "The old billing system is shut down in 2027.", C),
    Pair("Lay off 40 people in logistics.", "Nobody in logistics is laid off.", C),
    Pair("Buy ten diesel trucks.", "We buy no more diesel trucks.", C),
    Pair("Take out a loan of 3 million EUR for the new plant.", "We do not take out loans.", C),
    Pair("Responses of the search may take 4 seconds.", "The search responds in less than 800 milliseconds.", C),
    Pair("Keep log files for two years.", "Log files are deleted after 90 days.", C),
    Pair("Spend 8 percent of revenue on marketing.", "Marketing gets at most 5 percent of revenue.", C),
    Pair("The new website goes online on 15 September 2027.", "The new website is online by the end of July 2027.", C),
    Pair("Transfer payroll to Poland.", "Payroll always remains in Denmark.", C),
    Pair("Customer records are processed in Hyderabad.", "Customer records must be processed in Vienna.", C),
    Pair("Choose taxis for short trips.", "For short trips trains are preferred to taxis.", C),
    Pair("Publish the price list on our website.", "Price lists are given only to registered dealers.", C),
    Pair("Only freelancers test the app.", "The app is tested by employees only.", C),
    Pair("Every manager may fly business class.", "Business class is not allowed.", C),
    Pair("Don't train new staff in the branches.", "All new staff are trained in the branches.", C),
    Pair("Charge students the full price.", "Students pay half the price.", C),
    Pair("Have the audit done by our own people.", "Audits are done by an independent firm.", C),
    Pair("Sign contracts with a term of five years.", "Contracts have a term of at most 24 months.", C),
    Pair("Increase the number of stores to 60.", "We will have no more than 45 stores.", C),
    # Aligned
    Pair("Don't use customer names in tests.", "Customer names are never used in tests.", A),
    Pair("The search responds within half a second: 500 ms.", "The search responds in less than 800 milliseconds.", A),
    Pair("Finish the new website by May 2027.", "The new website is finished by the end of July 2027.", A),
    Pair("Prefer trains to taxis for short trips.", "For short trips trains are preferred to taxis.", A),
    Pair("Keep the payroll office in Denmark.", "The payroll office always remains in Denmark.", A),
    Pair("Sign contracts with a term of one year.", "Contracts have a term of at most 24 months.", A),
    Pair("Discontinue the loyalty card.", "The loyalty card is abolished.", A),
    Pair("Lower the energy use of the plant.", "Energy use of the plant is reduced every year.", A),
    Pair("Price lists go only to registered dealers.", "Price lists are given only to registered dealers.", A),
    Pair("Spend 4 percent of revenue on marketing.", "Marketing gets at most 5 percent of revenue.", A),
    # Related
    Pair("Analyse why customers cancelled in 2025.", "We do not let customers cancel before the end of the term.", R),
    Pair("Deliver parcels on Saturdays.", "Parcels are not delivered on working days after 8 pm.", R),
    Pair("Existing suppliers get a portal.", "No new suppliers are taken on before 2028.", R),
    Pair("Junior developers work in pairs.", "Senior developers do not work in pairs.", R),
    Pair("The trainees visit the plant in Brno.", "The plant in Brno has 400 employees.", R),
    Pair("Host the archive in Frankfurt.", "The archive must be hosted in Germany.", R),
    Pair("Buy 200 laptops.", "Laptops are replaced after at most 200 weeks.", R),
    Pair("We spend 2 days a month in workshops.", "We spend at least 4 days a month at customers.", R),
    Pair("Translate the manual into French.", "The manual is revised every year.", R),
    Pair("Ask customers whether they like the new prices.", "Prices do not rise before 2028.", R),
    Pair("Write down how we hire engineers.", "We hire no engineers in 2027.", R),
    Pair("Paint the warehouse in Linz.", "The warehouse in Linz is closed on Sundays.", R),
)
