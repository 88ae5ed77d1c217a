"""The repositories that questions may name here, as the settings have it."""

from contracts.domains import Clearance
from deploy.settings import Settings
from runtime.named_repositories import NamedRepositories, Naming, NoRepositories, PackedRepository


class _ByPlace:
    """A path is a folder's, anything else an address."""

    def __init__(self, folders: NamedRepositories, hosts: NamedRepositories) -> None:
        self._folders = folders
        self._hosts = hosts

    async def read(self, naming: Naming) -> PackedRepository:
        return await (self._hosts if "://" in naming.place else self._folders).read(naming)


def named_repositories(settings: Settings) -> NamedRepositories:
    """Folders below the roots and addresses at the hosts; without either nothing of it is loaded."""
    ours = settings.repositories
    if not ours.roots and not ours.hosts:
        return NoRepositories()
    from deploy.git_hosts import AllowedHosts
    from deploy.packing import Packer
    from deploy.source_folders import AllowedFolders

    packer = Packer(read_s_max=ours.read_s_max, bytes_max=settings.limits.blob_bytes_max)
    label = Clearance(ours.confidentiality)
    return _ByPlace(
        AllowedFolders(ours.roots, packer, label=label),
        AllowedHosts(ours.hosts, packer, label=label, label_max=Clearance(ours.label_max)),
    )
