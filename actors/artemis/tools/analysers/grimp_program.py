"""A program: the import graph of the packages named on its command line, in the working folder, by grimp, as JSON.

grimp reads source and imports nothing; told here where the packages are, it does not even look for them on Python's path.
Imports for type checkers only are left out: they are never made.
"""

import json
import sys
from pathlib import Path

import grimp
from grimp.application.config import settings


class Here:
    """grimp's port for where a package is: below the working folder."""

    def determine_package_directories(self, package_name: str, file_system: object) -> set[str]:  # noqa: ARG002 - its form
        return {str(Path(package_name).resolve())}


if __name__ == "__main__":
    settings.configure(PACKAGE_FINDER=Here())
    graph = grimp.build_graph(*sys.argv[1:], cache_dir=None, exclude_type_checking_imports=True)
    imports = {module: sorted(graph.find_modules_directly_imported_by(module)) for module in sorted(graph.modules)}
    json.dump(imports, sys.stdout)
