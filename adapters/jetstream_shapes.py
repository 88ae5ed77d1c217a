"""What we tell JetStream of a stream or a consumer: its configuration, as far as it is not the server's default."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType


class Mapping(Struct, kw_only=True, omit_defaults=True):
    src: str
    dest: str


class Source(Struct, kw_only=True):
    name: str
    subject_transforms: list[Mapping]


class Stream(Struct, kw_only=True, omit_defaults=True):
    """What of a stream's configuration is not the server's default; names are the API's."""

    name: str
    subjects: list[str]
    max_bytes: int
    num_replicas: int
    storage: Literal["", "file", "memory"] = ""
    max_msgs: int = 0
    discard: Literal["old", "new"] = "old"
    max_age: int = 0
    max_msgs_per_subject: int = 0
    duplicate_window: int = 0
    allow_direct: bool = False
    allow_atomic: bool = False
    deny_delete: bool = False
    deny_purge: bool = False
    allow_msg_schedules: bool = False
    allow_msg_ttl: bool = False
    sources: list[Source] = []
    subject_transform: Mapping | UnsetType = UNSET
    republish: Mapping | UnsetType = UNSET
    persist_mode: Literal["default", "async"] = "default"


class Consumer(Struct, kw_only=True, omit_defaults=True):
    """A pull consumer's configuration; times in nanoseconds; names are the API's."""

    filter_subjects: list[str]
    ack_policy: Literal["explicit", "none"]
    name: str = ""
    durable_name: str = ""
    ack_wait: int = 0
    max_ack_pending: int = 0
    deliver_policy: Literal["all", "by_start_sequence"] = "all"
    opt_start_seq: int = 0
    mem_storage: bool = False
    num_replicas: int = 0
    inactive_threshold: int = 0
    priority_groups: list[str] = []
    priority_policy: Literal["none", "pinned_client"] = "none"
    priority_timeout: int = 0


class CreateConsumer(Struct):
    stream_name: str
    config: Consumer
