"""All scenarios in the order they are played: those that leave the ground as they found it first."""

from typing import Final

from tests.faults.scenarios import again, away, kills, log, poison, rebuild, silence, world
from tests.faults.stage import Scenario

SCENARIOS: Final = (
    Scenario("poison", "12", poison.poison, short=True),
    Scenario("two-tenants", "16", again.two_tenants, short=True),
    Scenario("times", "17", again.times, short=True),
    Scenario("oversize", "6", log.oversize),
    Scenario("kill-door", "1", kills.door, short=True),
    Scenario("kill-scoring", "2", kills.scoring, short=True),
    Scenario("crash-points", "2", kills.points, short=True),
    Scenario("kill-nps", "2", kills.nps),
    Scenario("kill-broker", "3", kills.broker, short=True),
    Scenario("broker-away", "4", away.broker),
    Scenario("freeze-broker", "5", silence.broker, short=True),
    Scenario("freeze-services", "5", silence.everyone),
    Scenario("zombie", "7", silence.zombie),
    Scenario("holder", "7", silence.holder),
    Scenario("storm", "8", log.storm),
    Scenario("slow-folds", "9", log.slow),
    Scenario("deaf", "10", log.deaf),
    Scenario("postgres-away", "11", away.postgres, short=True),
    Scenario("pool", "11", away.pool),
    Scenario("both-away", "11", away.both, short=True),
    Scenario("dead-letters-away", "13", poison.unreachable),
    Scenario("dead-letters-again", "14", rebuild.letters),
    Scenario("archive", "19", rebuild.archive),
    Scenario("topic-again", "19", again.topic_again),
    Scenario("rolling", "22", away.rolling),
    Scenario("end-while-away", "22", away.end_while_away),
    Scenario("cut", "23", world.cut),
    Scenario("clocks", "24", world.clocks),
    Scenario("duplicates", "15", again.duplicates, alone=True),
    Scenario("out-of-range", "20", log.out_of_range, alone=True),
    Scenario("disk-of-postgres", "21", world.disk_of_postgres, alone=True, small="postgres"),
    Scenario("disk-of-broker", "21", world.disk_of_broker, alone=True, small="broker"),
)
