"""`genki`: the command line. Exit codes: 0 done, 1 refused or failed (the reason on stderr), 2 wrong usage."""

import sys

from cyclopts import App, CycloptsError

from services.cli import commands, doctor, up
from services.cli.report import Refused, note, tell

_HELP = "Genki: live health, coverage and NPS of your customers. `genki COMMAND --help` shows an example of each."


def build() -> App:
    """The commands and their names."""
    app = App(name="genki", help=_HELP, help_format="plaintext", exit_on_error=False, print_error=False)
    app.command(up.up, name="up")
    app.command(commands.migrate, name="migrate")
    app.command(doctor.doctor, name="doctor")
    tenant, key = App(name="tenant", help="Make tenants."), App(name="key", help="Make, list and revoke keys.")
    tenant.command(commands.tenant_create, name="create")
    key.command(commands.key_create, name="create")
    key.command(commands.key_list, name="list")
    key.command(commands.key_revoke, name="revoke")
    settings = App(name="settings", help="Read and replace a tenant's settings.")
    settings.command(commands.settings_get, name="get")
    settings.command(commands.settings_put, name="put")
    imports = App(name="import", help="Bring files in.")
    imports.command(commands.import_responses, name="responses")
    for group in (tenant, key, settings, imports):
        app.command(group)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and ends the process."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        build()(given, result_action="return_value")
    except CycloptsError as problem:
        note(f"genki: {problem}")
        sys.exit(2)
    except Refused as problem:
        note(f"genki: {problem}")
        if "--json" in given:
            tell({"error": str(problem)}, True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
