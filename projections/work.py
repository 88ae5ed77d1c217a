"""What was asked of each agent and how it ended, counted out of the read models of turns and collaborations."""

from collections.abc import Sequence
from datetime import datetime

from contracts.agents import Work
from runtime.journal import CANCELLED_BECAUSE
from runtime.read_models import Db

_WORK = """
WITH asked AS (
  SELECT domain, coalesce(team, '') AS team, CASE WHEN excused THEN 'excused' ELSE status END AS status, correlation,
         extract(epoch FROM answered - asked)::double precision AS took
    FROM read.messages WHERE asked >= $1::timestamptz
  UNION ALL
  SELECT answering, '', CASE WHEN status = 'completed' THEN 'answered' WHEN status = 'pending' THEN 'pending'
         WHEN status IN ('refused', 'unknown_request_type') OR starts_with(reason, $2) THEN 'excused' ELSE 'failed' END,
         correlation, extract(epoch FROM concluded - requested)::double precision
    FROM read.collaborations WHERE requested >= $1::timestamptz AND answering NOT IN ('sophia', 'artemis')
),
approved AS (SELECT correlation, bool_or(status = 'waiting') AS open FROM read.approvals GROUP BY correlation),
turns AS (
  SELECT domain, team, CASE WHEN open AND status IN ('pending', 'partial') THEN 'excused' ELSE status END AS status,
         CASE WHEN approved.correlation IS NULL THEN took END AS seconds
    FROM asked LEFT JOIN approved USING (correlation)
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
    """All that was asked since then. What people are waited for is not the agent's: it is neither waiting nor latency; nor is a
    failure by what the asker did."""
    return await db.rows(Work, _WORK, since, CANCELLED_BECAUSE)
