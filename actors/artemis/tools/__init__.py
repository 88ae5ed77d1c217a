"""Artemis's tools: real work on source trees, incident notes and metrics."""

from actors.artemis.tools.code_analysis import CODE_ANALYSIS
from actors.artemis.tools.performance_analysis import PERFORMANCE_ANALYSIS
from actors.artemis.tools.security import SECURITY
from actors.artemis.tools.system_monitoring import SYSTEM_MONITORING
from runtime.ports import Tool

TOOLS: dict[str, Tool] = {
    tool.name: tool for tool in (CODE_ANALYSIS, SYSTEM_MONITORING, SECURITY, PERFORMANCE_ANALYSIS)
}
"""By team name."""
