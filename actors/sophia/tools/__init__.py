"""Sophia's tools: real work on customer tables and on business texts."""

from actors.sophia.tools.business_insight import BUSINESS_INSIGHT
from actors.sophia.tools.client_analysis import CLIENT_ANALYSIS
from actors.sophia.tools.health import CLIENT_HEALTH
from actors.sophia.tools.market_research import MARKET_RESEARCH
from actors.sophia.tools.sales_intelligence import SALES_INTELLIGENCE
from runtime.ports import Tool

TOOLS: dict[str, Tool] = {
    tool.name: tool for tool in (CLIENT_ANALYSIS, CLIENT_HEALTH, MARKET_RESEARCH, SALES_INTELLIGENCE, BUSINESS_INSIGHT)
}
"""By name."""
