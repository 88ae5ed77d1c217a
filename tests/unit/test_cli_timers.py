"""What `diarchy timers` makes of its arguments."""

import pytest
from click.testing import CliRunner

from deploy.cli import cli


@pytest.mark.parametrize("actor", ["sophia", "sophia/conversation", "nowhere/x/y", "sophia/a.b/c", "sophia/a/b/c"])
def test_what_is_no_actor_is_refused_before_anything_is_asked(actor: str) -> None:
    result = CliRunner().invoke(cli, ["timers", "cancel", actor, "x"])
    assert result.exit_code == 2
    assert "DOMAIN/KIND/ID" in result.output
