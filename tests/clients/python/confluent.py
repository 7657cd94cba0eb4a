"""confluent-kafka (librdkafka) against a broker: python confluent.py BOOTSTRAP SCENARIO"""

import sys
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType,
)

BOOTSTRAP = sys.argv[1]
WAIT_S = 15


def admin():
    return AdminClient({"bootstrap.servers": BOOTSTRAP})


def create(name, partitions=1, config=None):
    client = admin()
    for future in client.create_topics([NewTopic(name, partitions, 1, config=config or {})]).values():
        future.result(WAIT_S)


def producer(**options):
    return Producer({"bootstrap.servers": BOOTSTRAP, "acks": "all", **{k.replace("_", "."): v for k, v in options.items()}})


def consumer(group, **options):
    settings = {"bootstrap.servers": BOOTSTRAP, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    settings.update({k.replace("_", "."): v for k, v in options.items()})
    return Consumer(settings)


def read(source, count):
    records = []
    until = time.monotonic() + WAIT_S
    while len(records) < count and time.monotonic() < until:
        record = source.poll(0.5)
        if record is None:
            continue
        assert record.error() is None, record.error()
        records.append(record)
    assert len(records) == count, f"{len(records)} records of {count}"
    return records


def send(topic, values, **options):
    sender = producer(**options)
    offsets = []

    def delivered(error, record):
        assert error is None, error
        offsets.append(record.offset())

    for value in values:
        sender.produce(topic, value, on_delivery=delivered)
    assert sender.flush(WAIT_S) == 0
    return offsets


def produce_and_consume():
    create("cf-basic")
    sender = producer(enable_idempotence=True)
    for n in range(1000):
        sender.produce("cf-basic", b"v%d" % n, key=b"k%d" % n, headers={"n": b"%d" % n})
    assert sender.flush(WAIT_S) == 0
    source = consumer("cf-basic-g")
    source.subscribe(["cf-basic"])
    records = read(source, 1000)
    assert [r.offset() for r in records] == list(range(1000))
    assert all(r.headers() == [("n", r.key()[1:])] and r.value()[1:] == r.key()[1:] for r in records)
    source.close()


def compressions():
    for name in ("gzip", "snappy", "lz4", "zstd"):
        create(f"cf-{name}")
        values = [b"a value that repeats itself " * 5 + b"%d" % n for n in range(200)]
        assert send(f"cf-{name}", values, compression_type=name, linger_ms=50) == list(range(200))
        source = consumer(f"cf-{name}-g")
        source.subscribe([f"cf-{name}"])
        assert [r.value() for r in read(source, 200)] == values, name
        source.close()


def assigned(source, count, others=()):
    """Polls all of them until `source` has `count` partitions."""
    until = time.monotonic() + 30
    while len(source.assignment()) != count:
        assert time.monotonic() < until, source.assignment()
        for each in (source, *others):
            each.poll(0.1)


def groups():
    for strategy in ("range", "roundrobin", "cooperative-sticky"):
        topic, group = f"cf-group-{strategy}", f"cf-g-{strategy}"
        create(topic, 4)
        first = consumer(group, partition_assignment_strategy=strategy)
        first.subscribe([topic])
        assigned(first, 4)
        second = consumer(group, partition_assignment_strategy=strategy)
        second.subscribe([topic])
        assigned(second, 2, [first])
        assigned(first, 2, [second])
        second.close()
        assigned(first, 4)
        first.close()


def static_membership():
    create("cf-static", 2)
    first = consumer("cf-static-g", group_instance_id="one", session_timeout_ms=10000)
    first.subscribe(["cf-static"])
    assigned(first, 2)
    before = first.memberid()
    first.close()
    again = consumer("cf-static-g", group_instance_id="one", session_timeout_ms=10000)
    again.subscribe(["cf-static"])
    assigned(again, 2)
    assert before and again.memberid() != before
    again.close()


def commit_and_seek():
    create("cf-commit")
    send("cf-commit", [b"%d" % n for n in range(10)])
    source = consumer("cf-commit-g")
    source.subscribe(["cf-commit"])
    read(source, 10)
    partition = TopicPartition("cf-commit", 0, 4, "a note")
    source.commit(offsets=[partition], asynchronous=False)
    found = source.committed([TopicPartition("cf-commit", 0)], WAIT_S)[0]
    assert (found.offset, found.metadata) == (4, "a note"), found
    source.seek(TopicPartition("cf-commit", 0, 8))
    assert [r.value() for r in read(source, 2)] == [b"8", b"9"]
    source.close()
    again = consumer("cf-commit-g")
    again.subscribe(["cf-commit"])
    assert [r.offset() for r in read(again, 6)] == [4, 5, 6, 7, 8, 9]
    again.close()


def times():
    create("cf-times")
    sender = producer()
    for n in range(10):
        sender.produce("cf-times", b"%d" % n, timestamp=1_700_000_000_000 + n * 1000)
    assert sender.flush(WAIT_S) == 0
    source = consumer("cf-times-g")
    for asked, offset in ((0, 0), (1_700_000_004_000, 4), (1_700_000_004_001, 5), (1_800_000_000_000, -1)):
        found = source.offsets_for_times([TopicPartition("cf-times", 0, asked)], WAIT_S)[0]
        assert found.offset == offset, (asked, found)
    assert source.get_watermark_offsets(TopicPartition("cf-times", 0), WAIT_S) == (0, 10)
    source.close()


def administration():
    client = admin()
    create("cf-admin", 2, {"retention.ms": "3600000"})
    futures = client.create_topics([NewTopic("cf-admin", 2, 1)])
    error = futures["cf-admin"].exception(WAIT_S)
    assert error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS, error
    for future in client.create_partitions([NewPartitions("cf-admin", 3)]).values():
        future.result(WAIT_S)
    resource = ConfigResource(ResourceType.TOPIC, "cf-admin")
    configs = client.describe_configs([resource])[resource].result(WAIT_S)
    assert configs["retention.ms"].value == "3600000" and not configs["retention.ms"].is_default
    assert configs["cleanup.policy"].value == "delete" and configs["cleanup.policy"].is_default
    entry = ConfigEntry("max.message.bytes", "5000", incremental_operation=AlterConfigOpType.SET)
    changed = ConfigResource(ResourceType.TOPIC, "cf-admin", incremental_configs=[entry])
    client.incremental_alter_configs([changed])[changed].result(WAIT_S)
    configs = client.describe_configs([resource])[resource].result(WAIT_S)
    assert (configs["max.message.bytes"].value, configs["retention.ms"].value) == ("5000", "3600000")
    listed = client.list_topics("cf-admin", WAIT_S).topics["cf-admin"]
    assert len(listed.partitions) == 3
    offsets = client.list_offsets({TopicPartition("cf-admin", 0): OffsetSpec.latest()})
    assert [future.result(WAIT_S).offset for future in offsets.values()] == [0]
    cluster = client.describe_cluster().result(WAIT_S)
    assert [node.id for node in cluster.nodes] == [1] and cluster.controller.id == 1
    for future in client.delete_topics(["cf-admin"]).values():
        future.result(WAIT_S)


def group_administration():
    client = admin()
    create("cf-gadmin")
    source = consumer("cf-gadmin-g")
    source.subscribe(["cf-gadmin"])
    assigned(source, 1)
    source.commit(offsets=[TopicPartition("cf-gadmin", 0, 3)], asynchronous=False)
    described = client.describe_consumer_groups(["cf-gadmin-g"])["cf-gadmin-g"].result(WAIT_S)
    assert described.state.name == "STABLE" and len(described.members) == 1, described
    assert described.members[0].assignment.topic_partitions[0].topic == "cf-gadmin"
    listed = client.list_consumer_groups().result(WAIT_S)
    assert "cf-gadmin-g" in [group.group_id for group in listed.valid] and not listed.errors
    source.close()
    client.delete_consumer_groups(["cf-gadmin-g"])["cf-gadmin-g"].result(WAIT_S)
    listed = client.list_consumer_groups().result(WAIT_S)
    assert "cf-gadmin-g" not in [group.group_id for group in listed.valid]


SCENARIOS = [
    produce_and_consume, compressions, groups, static_membership, commit_and_seek, times, administration,
    group_administration,
]
{scenario.__name__: scenario for scenario in SCENARIOS}[sys.argv[2]]()
print("passed", sys.argv[2])
