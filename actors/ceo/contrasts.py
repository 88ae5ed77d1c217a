"""Words that stand against each other, as tables: which way a sentence points, and what part of a thing it is of; pure.

What is not in these tables is not read. A word is added here, and the pairs of tests/comparison_pairs*.py say what it changes.
"""

import re

ENDS = (
    r"stop(?:s|ped|ping)?|ceas(?:e|es|ed|ing)|discontinu\w*|abandon\w*|cancel\w*|abolish\w*|scrap(?:s|ped|ping)?"
    r"|terminat\w*|suspend\w*|halt(?:s|ed)?|paus(?:e|es|ed)|postpon\w*|wind(?:s|ing)? down|wound down"
)
"""Words that end a thing, or put it off: they forbid what is done, and oppose what is kept."""

_AUXILIARIES = "must|may|shall|will|should|can|do|does|did|is|are|be|would"
NOT = (
    rf"(?:\b(?:{_AUXILIARIES})\s+(?:not|never)|\bcannot|\b(?:wo|do|does)n['’]t|\bnever|\bno longer(?!\s+than)"
    r"|\bnobody|\bno one)\b"
)
GOES_ON = re.compile(
    rf"{NOT}\s+(?:\w+\s+){{0,2}}?(?:{ENDS})\b"
    r"|\b(?:lift|remov|end|drop|abolish)\w*\s+(?:the|our|this|any)\s+(?:\w+\s+)?(?:ban|freeze|moratorium)\b",
    re.IGNORECASE,
)
"""What is not ended goes on, and so does what is no longer banned: neither word forbids."""

FORBIDS = re.compile(
    r"\bno\s+(?!(?:more\s+than|longer|later|less|fewer|doubt|matter|one|need)\b)\w+"
    rf"|{NOT}"
    r"|\b(?:freez\w*|frozen|moratorium|prohibit\w*|forbid\w*|forbidden|bann?(?:ed|s)?|avoid(?:s|ed)?|refrain\w*"
    rf"|rul(?:e|es|ed) out|off the table|out of the question|{ENDS})\b",
    re.IGNORECASE,
)
REFUSES = re.compile(
    r"\bno\s+(?:new|further|additional)\b|\b(?:must|may|shall|will|should)\s+(?:not|never)\b|\bno\s+(?:\w+\s+){1,3}?(?:is|are|may|must|will)\b"
    r"|(?:^|[,;:]\s*|\b(?:we|and|but|please|let us|let's|to)\s+)(?:do not|don['’]t|not)\b"
    r"|\bnever\b|\bno longer\b(?!\s+than)|\bnobody\b|\bno one\b"
    rf"|\b(?:freeze|prohibit|forbid|ban|avoid|{ENDS})\b",
    re.IGNORECASE,
)
"""The narrower form for what is asked: `customers cannot …` tells of a fact and refuses nothing."""

BEHIND = re.compile(NOT, re.IGNORECASE)
NONE = re.compile(r"\bno\b(?!\s+(?:longer|one|later|less|fewer|doubt|matter)\b)", re.IGNORECASE)
ENDING = re.compile(rf"\b(?:{ENDS})\b", re.IGNORECASE)

KEPT = "kept or ended"
CHANGES = frozenset({"more or less", KEPT})
"""Axes of which way something changes. The others are of ways to do a thing: some of it may be done the one way, the rest the
other, so where both sentences have figures these decide nothing."""

AXES: dict[str, tuple[str, str]] = {
    "more or less": (
        r"rais\w+|ris(?:es?|ing|en)|increas\w+|grow(?:s|n|th|ing)?|expan\w+|extend\w*|add(?:s|ed|ing)?|hir(?:e|es|ed|ing)|recruit\w*|invest\w*"
        r"|enlarg\w+|boost\w*|doubl\w+|enter(?:s|ed|ing)?|open(?:s|ed|ing)?(?![- ]source)|more",
        r"cut(?:s|ting)?|reduc\w+|lower(?:s|ed|ing)?|shrink\w*|decreas\w+|withdraw\w*|clos(?:e|es|ed|ing)|lay(?:s|ing)? off"
        r"|layoffs?|downsiz\w+|halv\w+|exit(?:s|ed|ing)?|divest\w*|fewer|less",
    ),
    "made or bought": (
        r"build(?:s|ing)?|built|develop(?:s|ed|ing)?|in-house|internally|insourc\w+|(?:our|its|their) own",
        r"buy(?:s|ing)?|bought|purchas\w+|outsourc\w+|off-the-shelf|vendors?|externally",
    ),
    "cloud or own machines": (r"cloud\w*|hosted", r"on-?\s?prem\w*|own (?:data cent\w+|servers?|machines?)"),
    "central or not": (
        r"centrali[sz]\w+|central|consolidat\w+|merg\w+|unif(?:y|ies|ied)",
        r"decentrali[sz]\w+|regional(?:ly)?|split\w*|separat\w+|spin\w* off",
    ),
    "direct or through others": (
        r"direct(?:ly)?",
        r"resellers?|partners?|distributors?|intermediar\w+|agen(?:cy|cies)|dealers?",
    ),
    "open or closed": (r"open[- ]source[ds]?|publish\w*", r"proprietary|closed[- ]source|confidential|secret"),
    "one or several": (r"single|sole", r"several|multiple|many|second|multi-\w+|various"),
    "remote or on site": (
        r"remote(?:ly)?|(?:from|at) home|home office|telework\w*",
        r"(?:to|in|at|from) the office|on[- ]site|in person",
    ),
    "by hand or automatic": (r"manual(?:ly)?|by hand", r"automat\w+"),
    KEPT: (
        r"keep(?:s|ing)?|kept|retain\w*|remain\w*|preserv\w+|stay(?:s|ed|ing)?|maintain\w*|continu(?:e|es|ed|ing)|go(?:es)? on",
        r"replac\w+|retir(?:e|es|ed|ing)|decommission\w*|phas\w+ out|switch\w* off|shut(?:s|ting)? down|clos(?:e|es|ed|ing|ure)"
        rf"|dismantl\w*|{ENDS}",
    ),
}
"""Each with its two poles."""

_WORKING = r"weekdays?|working days?"
_FREE = r"weekends?"
OF_A_KIND: tuple[tuple[str, ...], ...] = (
    (r"new|future|prospective", r"existing|current|present|old", r"used|second-hand"),
    (r"internal", r"external"),
    (r"domestic|national|inland", r"foreign|international|overseas"),
    (r"business|corporate|enterprise|commercial", r"private|individual|residential"),
    (r"small|smaller", r"large|larger|big"),
    (r"junior", r"senior"),
    (r"full-time", r"part-time"),
    (r"permanent", r"temporary|fixed-term"),
    (r"wholesale", r"retail"),
    (r"prepaid", r"postpaid"),
    (r"inbound|incoming", r"outbound|outgoing"),
    (r"male", r"female"),
    (r"short-term", r"long-term"),
    (r"fixed", r"mobile"),
)
"""Words before a noun that say which of it: `new customers` and `existing customers` are two groups, `a new portal` and `existing
customers` no contrast."""

NAMED: tuple[tuple[str, ...], ...] = (
    tuple(rf"{day}s?|{_WORKING}" for day in ("monday", "tuesday", "wednesday", "thursday", "friday"))
    + tuple(rf"{day}s?|{_FREE}" for day in ("saturday", "sunday")),
    (r"b2b", r"b2c"),
    (r"test(?:s|ing)? (?:environment|system|database)s?|staging", r"production"),
    (r"employees", r"contractors?|freelancers?"),
    (r"online|on the web", r"television|radio|print|newspapers?"),
    (r"hardware", r"software"),
)
"""Words that name one part of a whole by themselves."""

DAYS = len(OF_A_KIND)
"""The number of the first of these families among all: what is forbidden on some days is allowed on others."""

PLACED = re.compile(
    r"\b(?:move[sd]?|moving|migrat(?:e|es|ed|ing)|relocat\w+|replicat\w+|transfer\w*|shift\w*|keep(?:s|ing)?|kept|stor(?:e|es|ed|ing)|host(?:s|ed|ing)?"
    r"|locat\w+|place[sd]?|put|run(?:s|ning)?|stay\w*|remain\w*|process(?:es|ed|ing)?)\b",
    re.IGNORECASE,
)
"""Verbs that say where a thing is, or is to be."""

BOUND = re.compile(
    r"\b(?:all|every|each|any|always|only|exclusively|must|stay\w*|remain\w*|keep\w*|kept)\b", re.IGNORECASE
)
"""Words that say that there is no other place."""

TELLS = re.compile(
    r"^\W*(?:please\s+)?(?:(?:let us|let's|we\s+(?:should|must|will|want to|plan to|need to))\s+)?"
    r"(?P<verb>stud(?:y|ies)|survey|analy[sz]e|compare|review|evaluate|assess|investigate|research|examine|describe|discuss|estimate"
    r"|explore|ask|find out|write down|monitor|measure|track|audit|benchmark|summari[sz]e|document|report"
    r"|(?:write|draw up|prepare|make|create|produce|publish|present|compile|read|commission)\s+"
    r"(?:an?\s+|the\s+|our\s+)?(?:[\w-]+\s+){0,2}?"
    r"(?:history|report|study|survey|analysis|paper|overview|summary|list|comparison|review|forecast|memo|presentation|statistics))\b",
    re.IGNORECASE,
)
"""What a requirement begins with that looks at a thing and does nothing to it."""

LIGHT = (
    "offer",
    "do",
    "done",
    "make",
    "made",
    "provide",
    "give",
    "given",
    "allow",
    "permit",
    "available",
    "possible",
    "use",
    "go",
)
"""Verbs that say nothing of what is done: `support is not offered` forbids the support."""

COUNTRIES = frozenset(
    """Afghanistan Albania Algeria Andorra Angola Argentina Armenia Australia Austria Azerbaijan Bahamas Bahrain Bangladesh
    Barbados Belarus Belgium Belize Benin Bhutan Bolivia Bosnia Botswana Brazil Brunei Bulgaria Burundi Cambodia Cameroon
    Canada Chad Chile China Colombia Congo Croatia Cuba Cyprus Czechia Denmark Djibouti Dominica Ecuador Egypt Eritrea
    Estonia Eswatini Ethiopia Fiji Finland France Gabon Gambia Georgia Germany Ghana Greece Grenada Guatemala Guinea
    Guyana Haiti Honduras Hungary Iceland India Indonesia Iran Iraq Ireland Israel Italy Jamaica Japan Jordan Kazakhstan
    Kenya Kuwait Kyrgyzstan Laos Latvia Lebanon Lesotho Liberia Libya Liechtenstein Lithuania Luxembourg Madagascar Malawi
    Malaysia Maldives Mali Malta Mauritania Mauritius Mexico Moldova Monaco Mongolia Montenegro Morocco Mozambique Myanmar
    Namibia Nepal Netherlands Nicaragua Niger Nigeria Norway Oman Pakistan Palestine Panama Paraguay Peru Philippines
    Poland Portugal Qatar Romania Russia Rwanda Senegal Serbia Singapore Slovakia Slovenia Somalia Spain Sudan Suriname
    Sweden Switzerland Syria Taiwan Tajikistan Tanzania Thailand Togo Tunisia Turkey Turkmenistan Uganda Ukraine Uruguay
    Uzbekistan Venezuela Vietnam Yemen Zambia Zimbabwe""".split()  # noqa: SIM905 - a word a line would be pages
) | {
    "United States",
    "United Kingdom",
    "New Zealand",
    "South Africa",
    "South Korea",
    "Saudi Arabia",
    "Sri Lanka",
    "Czech Republic",
    "Costa Rica",
}
REGIONS = frozenset(
    (
        "Africa",
        "America",
        "Asia",
        "Europe",
        "European Union",
        "Union",
        "Scandinavia",
        "Balkans",
        "Benelux",
        "DACH",
        "Middle East",
    )
)
"""One country is not another, nor one town. Whether a town lies in a country, or a country in a region, is not known here."""

PREPOSITIONS = "through|via|from|in|to|for|with|by|on"
GIVES_UP = re.compile(
    r"\breplac\w+\s+(?P<gone>[^.,;!?]{1,60}?)\s+(?:by|with)\b"
    r"|\b(?:move|moving|migrat\w+|switch\w*|chang\w+)\s+(?:\w+\s+){0,3}?from\s+(?P<gone2>[^.,;!?]{1,60}?)\s+to\b"
    r"|\b(?:instead of|rather than)\s+(?P<gone3>[^.,;!?]{1,60})",
    re.IGNORECASE,
)

SPARES = re.compile(
    r"\b(?P<verb>without|free (?:of|from)|remov(?:e|es|ed|ing)|eliminat(?:e|es|ed|ing)|(?:get|gets|getting) rid of)\s"
    rf"(?P<what>(?:(?!\b(?:{PREPOSITIONS})\b)[^.,;!?]){{1,60}})",
    re.IGNORECASE,
)
"""What is replaced by another thing; what is done without, or removed: none of it is what a sentence wants."""
