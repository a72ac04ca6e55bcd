"""`genki`: the command line. Exit codes: 0 done, 1 refused or failed (the reason on stderr), 2 wrong usage."""

import sys
from importlib.metadata import version
from typing import Final

from cyclopts import App, CycloptsError

from services.cli.report import Refused, WrongUsage, note, tell

_HELP = "Genki: live health, coverage and NPS of your customers. `genki COMMAND --help` shows an example of each."
_GROUPS: Final = {
    "tenant": "Make tenants.",
    "key": "Make, list and revoke keys.",
    "settings": "Read and replace a tenant's settings.",
    "import": "Bring files in.",
    "dead": "Lines that could not be applied.",
}
# The words of each command, where it lives, what it does, and an example for its help.
_COMMANDS: Final = {
    "up": ("up:up", "Run Genki until SIGINT or SIGTERM.", "up --empty --port 8000"),
    "demo": ("demo:demo", "Show the demo tenant's home screen, made and filled where it was not yet.", "demo"),
    "migrate": (
        "commands:migrate",
        "Bring the database to the newest schema and make the log's topics.",
        "migrate --database postgresql://owner@db/genki --kafka kafka:9092 --partitions 24",
    ),
    "doctor": ("doctor:doctor", "Say what is wrong, in words.", "doctor --kafka kafka:9092"),
    "audit-ledger": (
        "audit_ledger:audit_ledger",
        "Say whether archive, state, log and a client's ledger agree on every fact.",
        "audit-ledger --ledger sent.ndjson",
    ),
    "replay": (
        "replay:replay",
        "Rebuild the derived state from the archive, compare it with the live one, and swap.",
        "replay --check",
    ),
    "dead list": ("dead:dead_list", "List dead letters, with their reasons.", 'dead list --reason "no such tenant"'),
    "dead show": ("dead:dead_show", "Show one dead letter and its line.", "dead show 3:17:0"),
    "dead replay": (
        "dead:dead_replay",
        "Put dead lines that can be applied by now back on the log.",
        "dead replay --tenant acme-1f2e3d4c",
    ),
    "tenant create": (
        "commands:tenant_create",
        "Make a tenant and its first keys.",
        'tenant create "Acme K.K." --time-zone Asia/Tokyo --currency JPY',
    ),
    "key create": (
        "commands:key_create",
        "Make a key; it is shown once.",
        "key create --tenant acme-1f2e3d4c --kind api --role csm --csm kato",
    ),
    "key list": (
        "commands:key_list",
        "List a tenant's keys, without their secrets.",
        "key list --tenant acme-1f2e3d4c",
    ),
    "key revoke": ("commands:key_revoke", "End a key for good.", "key revoke Zk3JtQ0aVb2n"),
    "settings get": (
        "commands:settings_get",
        "Write a tenant's settings document.",
        "settings get settings.json --tenant acme-1f2e3d4c",
    ),
    "settings put": (
        "commands:settings_put",
        "Put a settings document in force.",
        "settings put settings.json --tenant acme-1f2e3d4c",
    ),
    "import accounts": (
        "imports:accounts",
        "Import accounts from CSV or XLSX.",
        "import accounts crm.csv --tenant acme-1f2e3d4c --map Company=account_id --map Seats=traits.seats --dry-run",
    ),
    "import people": (
        "imports:people",
        "Import people from CSV or XLSX.",
        'import people people.xlsx --tenant acme-1f2e3d4c --map "E-mail=person_id" --map "E-mail=email"',
    ),
    "import contacts": (
        "imports:contacts",
        "Import contacts from CSV or XLSX.",
        "import contacts calls.csv --tenant acme-1f2e3d4c --set channel=phone --map Result=outcome",
    ),
    "import contracts": (
        "imports:contracts",
        "Import contracts from CSV or XLSX.",
        "import contracts deals.csv --tenant acme-1f2e3d4c --where stage=Won --set change=new --map amount=acv_after",
    ),
    "import responses": (
        "imports:responses",
        "Import survey responses from CSV or XLSX.",
        'import responses nps.csv --tenant acme-1f2e3d4c --map "Score=score" --set survey=2026-Q1',
    ),
    "import events": (
        "imports:events",
        "Import facts, one JSON object a line, gzip too; after an interruption send the file again.",
        "import events facts.ndjson.gz --tenant acme-1f2e3d4c",
    ),
}


def build() -> App:
    """The commands by name; each is imported when it is called, so that help is at hand at once."""
    app = App(
        name="genki",
        help=_HELP,
        version=version("genki"),
        help_format="plaintext",
        exit_on_error=False,
        print_error=False,
    )
    groups: dict[str, App] = {"": app}
    for words, (home, says, example) in _COMMANDS.items():
        group, _, name = words.rpartition(" ")
        if group not in groups:
            groups[group] = App(name=group, help=_GROUPS[group])
            app.command(groups[group])
        groups[group].command(f"services.cli.{home}", name=name, help=f"{says}\n\nExample: genki {example}")
    return app


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and ends the process."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        build()(given, result_action="return_value")
    except (CycloptsError, WrongUsage) as problem:
        note(f"genki: {problem}")
        sys.exit(2)
    except Refused as problem:
        note(f"genki: {problem}")
        if "--json" in given:
            tell({"error": str(problem), **problem.document}, True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
