"""Every limit of the kernel, its unit last."""

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True):
    """Defaults suit one machine; `deploy/settings.py` reads overrides."""

    attempts_max: int = 5  # failures of our own making before a message is buried
    deaths_max: int = 10  # workers that died with a message in hand before it is buried
    deaths_alone: int = 2  # after so many, what was in hand is handled one by one, so that the culprit is found
    conflicts_max: int = 20  # lost races for one message before it is tried anew later
    retry_s_min: float = 0.05
    retry_s_max: float = 5.0
    ack_wait_s: float = 30.0  # a message neither ended nor reported as worked on is handed out again after this
    pending_max: int = 256  # messages of one partition of one queue handed out and not yet ended
    backlog_max: int = 100_000  # messages that wait in a domain's inbox; then it refuses (HTTP 503)
    sweep_s: float = 2.0  # how often what is ended is cleared out of a domain's inbox
    heartbeat_s: float = 0.5  # how often a worker tells the others of its domain that it lives
    hello_s: float = 0.3  # how long a new worker listens for the others before it takes partitions
    member_s_max: float = 1.5  # a worker not heard of for so long is taken for dead
    handover_s_max: float = 5.0  # a partition that its holder does not let go in this time is taken
    drain_s_max: float = 1.0  # what an orderly end of a worker, or of its hold of a partition, allows what is under way
    live_actors_max: int = 10_000
    handlers_max: int = 1_024  # messages of a kind handled at once in one worker
    reactions_max: int = 256  # reactions at once in one worker
    reactions_kind_max: int = 64  # of one kind; those that wait for others do not count
    timers_actor_max: int = 1_000  # of one actor; setting more fails
    park_after_s: float = 5.0  # a reaction that only waits leaves the memory after this
    reply_recheck_s: float = 5.0  # a waiting effect looks again after this, should a wake-up have been lost
    ask_s_max: float = 86_400.0  # another domain's answer without a deadline of its own is expired after this
    ask_taken_s_max: float = 4.0  # a domain that has not taken a request up by then is down: the asker answers in part
    ask_work_s_max: float = 120.0  # a domain that has is waited for so long before the asker answers in part
    ask_rest_s_max: float = 518_400.0  # what is missing of an answer is waited for so long; below `in_stream_age_s_max`
    tool_s_max: float = 300.0
    model_s_max: float = 600.0  # above the time-outs of all providers together, so that each ends by itself
    idle_s: float = 60.0  # an actor not used for so long is packed
    idle_actors_bytes_max: int = 256 << 20  # packed actors in memory; `live_actors_max` bounds the others
    snapshot_events: int = 200  # of an actor since its last snapshot, before the next one is written
    snapshot_events_min: int = 50  # for which one is written when the actor leaves the memory or the worker ends
    snapshot_bytes_max: int = 4 << 20  # a larger one is not written
    snapshots_waiting_max: int = 256
    snapshot_stop_s_max: float = 1.0  # how long the end of a worker may take for them
