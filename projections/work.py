"""What was asked of each agent and how it ended, counted out of the read models of turns and collaborations."""

from collections.abc import Sequence
from datetime import datetime

from contracts.agents import Work
from runtime.read_models import Db

_WORK = """
WITH turns AS (
  SELECT domain, coalesce(team, '') AS team, status, extract(epoch FROM answered - asked)::double precision AS seconds
    FROM read.messages WHERE asked >= $1::timestamptz
  UNION ALL
  SELECT answering, '', CASE status WHEN 'completed' THEN 'answered' WHEN 'pending' THEN 'pending' ELSE 'failed' END,
         extract(epoch FROM concluded - requested)::double precision
    FROM read.collaborations WHERE requested >= $1::timestamptz AND answering NOT IN ('sophia', 'artemis')
)
SELECT domain, coalesce(team, '') AS team,
       count(*) FILTER (WHERE status = 'answered') AS answered,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       count(*) FILTER (WHERE status IN ('pending', 'partial')) AS waiting,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE status = 'answered') AS p50_s,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE status = 'answered') AS p95_s
  FROM turns GROUP BY GROUPING SETS ((domain), (domain, team)) HAVING GROUPING(team) = 1 OR team <> ''
"""
"""Of each domain as a whole (team '') and of each team that is known: a turn that failed may never have come to one."""


async def work_since(db: Db, since: datetime) -> Sequence[Work]:
    """All that was asked since then."""
    return await db.rows(Work, _WORK, since)
