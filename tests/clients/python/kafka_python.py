"""kafka-python against a broker: python kafka_python.py BOOTSTRAP SCENARIO"""

import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewPartitions, NewTopic
from kafka.errors import TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

BOOTSTRAP = sys.argv[1]
WAIT_MS = 15_000


def admin():
    return KafkaAdminClient(bootstrap_servers=BOOTSTRAP)


def create(name, partitions=1, configs=None):
    client = admin()
    try:
        client.create_topics([NewTopic(name, partitions, 1, topic_configs=configs or {})])
    except TopicAlreadyExistsError:
        pass
    client.close()


def producer(**options):
    return KafkaProducer(bootstrap_servers=BOOTSTRAP, **options)


def consumer(*topics, **options):
    options.setdefault("auto_offset_reset", "earliest")
    return KafkaConsumer(*topics, bootstrap_servers=BOOTSTRAP, **options)


def read(source, count):
    """Polls until `count` records came, or the time is over."""
    records = []
    until = time.monotonic() + WAIT_MS / 1000
    while len(records) < count and time.monotonic() < until:
        for batch in source.poll(timeout_ms=500).values():
            records.extend(batch)
    assert len(records) == count, f"{len(records)} records of {count}"
    return records


def produce_and_consume():
    create("py-basic", 2)
    with producer(acks="all") as sender:
        for n in range(100):
            future = sender.send(
                "py-basic", key=b"k%d" % n, value=b"v%d" % n, headers=[("n", b"%d" % n)], partition=n % 2
            )
        metadata = future.get(timeout=15)
        assert (metadata.topic, metadata.partition, metadata.offset) == ("py-basic", 1, 49), metadata
    source = consumer("py-basic")
    records = read(source, 100)
    for partition in (0, 1):
        mine = [r for r in records if r.partition == partition]
        assert [r.offset for r in mine] == list(range(50))
        assert [r.value for r in mine] == [b"v%d" % n for n in range(partition, 100, 2)]
        assert all(dict(r.headers)["n"] == r.key[1:] for r in mine)
    source.close()


def idempotence():
    create("py-idempotent")
    with producer(acks="all", enable_idempotence=True) as sender:
        futures = [sender.send("py-idempotent", b"%d" % n) for n in range(500)]
        offsets = [future.get(timeout=15).offset for future in futures]
    assert offsets == list(range(500))


def compressions():
    import importlib

    names = ["gzip"]
    for name, module in (("snappy", "snappy"), ("lz4", "lz4.frame"), ("zstd", "zstandard")):
        importlib.import_module(module)  # all are installed for this test
        names.append(name)
    for name in names:
        topic = f"py-{name}"
        create(topic)
        with producer(compression_type=name, linger_ms=50) as sender:
            for n in range(200):
                sender.send(topic, b"a value that repeats itself " * 5 + b"%d" % n)
        source = consumer(topic)
        values = [r.value for r in read(source, 200)]
        assert values == [b"a value that repeats itself " * 5 + b"%d" % n for n in range(200)], name
        source.close()


def groups():
    create("py-group", 4)
    with producer() as sender:
        for n in range(40):
            sender.send("py-group", b"%d" % n, partition=n % 4)
    first = consumer("py-group", group_id="py-g", enable_auto_commit=False)
    values = sorted(int(r.value) for r in read(first, 40))
    assert values == list(range(40))
    first.commit()
    assert first.committed(TopicPartition("py-group", 0)) == 10

    # A second member takes its half.
    second = consumer("py-group", group_id="py-g", enable_auto_commit=False)
    until = time.monotonic() + 30
    while not (len(first.assignment()) == 2 and len(second.assignment()) == 2):
        assert time.monotonic() < until, (first.assignment(), second.assignment())
        first.poll(timeout_ms=100)
        second.poll(timeout_ms=100)
    assert not first.assignment() & second.assignment()

    # It leaves, and the first gets everything back.
    second.close()
    until = time.monotonic() + 30
    while len(first.assignment()) != 4:
        assert time.monotonic() < until, first.assignment()
        first.poll(timeout_ms=100)
    first.close()


def seek_and_times():
    create("py-seek")
    with producer() as sender:
        for n in range(10):
            sender.send("py-seek", b"%d" % n, timestamp_ms=1_700_000_000_000 + n * 1000)
    partition = TopicPartition("py-seek", 0)
    source = consumer(group_id=None)
    source.assign([partition])
    assert source.beginning_offsets([partition]) == {partition: 0}
    assert source.end_offsets([partition]) == {partition: 10}
    source.seek(partition, 7)
    assert [r.value for r in read(source, 3)] == [b"7", b"8", b"9"]
    source.seek_to_beginning(partition)
    assert read(source, 10)[0].offset == 0
    for asked, offset in ((0, 0), (1_700_000_004_000, 4), (1_700_000_004_001, 5)):
        found = source.offsets_for_times({partition: asked})[partition]
        assert (found.offset, found.timestamp) == (offset, 1_700_000_000_000 + offset * 1000), found
    assert source.offsets_for_times({partition: 1_800_000_000_000})[partition] is None
    source.close()


def commit_metadata():
    create("py-commit")
    partition = TopicPartition("py-commit", 0)
    source = consumer(group_id="py-commit-g", enable_auto_commit=False)
    source.assign([partition])
    source.commit({partition: OffsetAndMetadata(5, "a note", -1)})
    source.close()
    again = consumer(group_id="py-commit-g", enable_auto_commit=False)
    again.assign([partition])
    found = again.committed(partition, metadata=True)
    assert (found.offset, found.metadata) == (5, "a note"), found
    again.close()


def administration():
    from kafka.admin import ConfigResource, ConfigResourceType

    client = admin()
    client.create_topics([NewTopic("py-admin", 2, 1, topic_configs={"retention.ms": "3600000"})])
    assert "py-admin" in client.list_topics()
    try:
        client.create_topics([NewTopic("py-admin", 2, 1)])
        raise AssertionError("created twice")
    except TopicAlreadyExistsError:
        pass
    client.create_partitions({"py-admin": NewPartitions(3)})
    client.wait_for_topics(["py-admin"])
    resource = ConfigResource(ConfigResourceType.TOPIC, "py-admin")
    described = str(client.describe_configs([resource]))
    assert "retention.ms" in described and "3600000" in described, described
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "py-admin", {"max.message.bytes": "5000"})])
    described = str(client.describe_configs([resource]))
    assert "5000" in described, described
    topics = client.describe_topics(["py-admin"])
    assert len(topics[0]["partitions"]) == 3, topics
    client.delete_topics(["py-admin"])
    until = time.monotonic() + 10
    while "py-admin" in client.list_topics():
        assert time.monotonic() < until, "not deleted"
        time.sleep(0.1)
    assert client.describe_cluster()["brokers"], client.describe_cluster()
    client.close()


SCENARIOS = [
    produce_and_consume, idempotence, compressions, groups, seek_and_times, commit_metadata, administration,
]
{scenario.__name__: scenario for scenario in SCENARIOS}[sys.argv[2]]()
print("passed", sys.argv[2])
