// kafkajs against a broker: node kafkajs.js BOOTSTRAP SCENARIO

const assert = require('node:assert/strict');
const { Kafka, CompressionTypes, ConfigResourceTypes, logLevel } = require('kafkajs');

const [, , bootstrap, scenario] = process.argv;
const kafka = new Kafka({ clientId: 'kafkajs-test', brokers: [bootstrap], logLevel: logLevel.NOTHING });
const WAIT_MS = 20_000;

async function withAdmin(work) {
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

const create = (topic, numPartitions = 1) =>
  withAdmin((admin) => admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1 }] }));

async function send(topic, messages, options = {}) {
  const producer = kafka.producer({ idempotent: options.idempotent ?? false });
  await producer.connect();
  const answer = await producer.send({ topic, messages, acks: -1, ...options.send });
  await producer.disconnect();
  return answer;
}

async function until(condition, what) {
  const end = Date.now() + WAIT_MS;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `not within ${WAIT_MS} ms: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Reads `count` messages in a group of its own. */
async function read(topic, groupId, count, prepare = () => {}) {
  const consumer = kafka.consumer({ groupId });
  const messages = [];
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({ eachMessage: async ({ partition, message }) => void messages.push({ partition, ...message }) });
  prepare(consumer);
  await until(() => messages.length >= count, `${count} messages of ${topic}, ${messages.length} came`);
  await consumer.disconnect();
  assert.equal(messages.length, count);
  return messages;
}

const scenarios = {
  async produce_and_consume() {
    await create('js-basic', 2);
    const messages = Array.from({ length: 100 }, (_, n) => ({
      key: `k${n}`, value: `v${n}`, partition: n % 2, headers: { n: String(n) },
    }));
    const answer = await send('js-basic', messages);
    assert.deepEqual(answer.map((each) => [each.partition, each.baseOffset, each.errorCode]).sort(), [[0, '0', 0], [1, '0', 0]]);
    const read_ = await read('js-basic', 'js-basic-g', 100);
    for (const partition of [0, 1]) {
      const mine = read_.filter((each) => each.partition === partition);
      assert.deepEqual(mine.map((each) => each.offset), Array.from({ length: 50 }, (_, n) => String(n)));
      assert.deepEqual(mine.map((each) => String(each.value)), Array.from({ length: 50 }, (_, n) => `v${2 * n + partition}`));
      assert.ok(mine.every((each) => `k${each.headers.n}` === String(each.key)));
    }
  },

  async idempotent_producer() {
    await create('js-idempotent');
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    for (let n = 0; n < 20; n += 1) {
      const [answer] = await producer.send({ topic: 'js-idempotent', messages: [{ value: `${n}` }] });
      assert.equal(answer.baseOffset, String(n));
    }
    await producer.disconnect();
  },

  async gzip() {
    await create('js-gzip');
    const messages = Array.from({ length: 200 }, (_, n) => ({ value: `${'a value that repeats itself '.repeat(5)}${n}` }));
    await send('js-gzip', messages, { send: { compression: CompressionTypes.GZIP } });
    const values = (await read('js-gzip', 'js-gzip-g', 200)).map((each) => String(each.value));
    assert.deepEqual(values, messages.map((each) => each.value));
  },

  async groups_share_commit_and_go_on() {
    await create('js-group', 4);
    const messages = Array.from({ length: 40 }, (_, n) => ({ value: `${n}`, partition: n % 4 }));
    await send('js-group', messages);
    const consumers = [kafka.consumer({ groupId: 'js-g' }), kafka.consumer({ groupId: 'js-g' })];
    const seen = [];
    const assigned = [0, 0];
    for (const [index, consumer] of consumers.entries()) {
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
        assigned[index] = (payload.memberAssignment['js-group'] ?? []).length;
      });
      await consumer.connect();
      await consumer.subscribe({ topic: 'js-group', fromBeginning: true });
      await consumer.run({ eachMessage: async ({ message }) => void seen.push(Number(message.value)) });
    }
    await until(() => assigned[0] === 2 && assigned[1] === 2, `two partitions each, not ${assigned}`);
    await until(() => new Set(seen).size === 40, '40 different messages');
    await consumers[1].disconnect();
    await until(() => assigned[0] === 4, 'four partitions for the one that stays');
    await consumers[0].disconnect();
    const offsets = await withAdmin((admin) => admin.fetchOffsets({ groupId: 'js-g', topics: ['js-group'] }));
    assert.deepEqual(offsets[0].partitions.map((each) => each.offset), ['10', '10', '10', '10']);
  },

  async seek_and_times() {
    await create('js-seek');
    const messages = Array.from({ length: 10 }, (_, n) => ({ value: `${n}`, timestamp: String(1_700_000_000_000 + n * 1000) }));
    await send('js-seek', messages);
    const values = await read('js-seek', 'js-seek-g', 3, (consumer) => consumer.seek({ topic: 'js-seek', partition: 0, offset: '7' }));
    assert.deepEqual(values.map((each) => String(each.value)), ['7', '8', '9']);
    const at = (time) => withAdmin((admin) => admin.fetchTopicOffsetsByTimestamp('js-seek', time));
    assert.equal((await at(1_700_000_004_000))[0].offset, '4');
    assert.equal((await at(1_700_000_004_001))[0].offset, '5');
    const [ends] = await withAdmin((admin) => admin.fetchTopicOffsets('js-seek'));
    assert.deepEqual([ends.low, ends.high], ['0', '10']);
  },

  async commit_metadata() {
    await create('js-commit');
    const consumer = kafka.consumer({ groupId: 'js-commit-g' });
    await consumer.connect();
    await consumer.subscribe({ topic: 'js-commit' });
    await consumer.run({ eachMessage: async () => {} });
    await until(async () => (await consumer.describeGroup()).state === 'Stable', 'a stable group');
    await consumer.commitOffsets([{ topic: 'js-commit', partition: 0, offset: '5', metadata: 'a note' }]);
    await consumer.disconnect();
    const [found] = await withAdmin((admin) => admin.fetchOffsets({ groupId: 'js-commit-g', topics: ['js-commit'] }));
    assert.deepEqual([found.partitions[0].offset, found.partitions[0].metadata], ['5', 'a note']);
  },

  async administration() {
    await withAdmin(async (admin) => {
      assert.equal(await admin.createTopics({ topics: [{ topic: 'js-admin', numPartitions: 2, replicationFactor: 1 }] }), true);
      assert.equal(await admin.createTopics({ topics: [{ topic: 'js-admin', numPartitions: 2, replicationFactor: 1 }] }), false);
      await admin.createPartitions({ topicPartitions: [{ topic: 'js-admin', count: 3 }] });
      const { topics } = await admin.fetchTopicMetadata({ topics: ['js-admin'] });
      assert.equal(topics[0].partitions.length, 3);
      const resource = { type: ConfigResourceTypes.TOPIC, name: 'js-admin' };
      await admin.alterConfigs({ resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '3600000' }] }] });
      const described = await admin.describeConfigs({ includeSynonyms: false, resources: [{ ...resource, configNames: ['retention.ms'] }] });
      assert.equal(described.resources[0].configEntries[0].configValue, '3600000');
      assert.deepEqual((await admin.describeCluster()).brokers.map((each) => each.nodeId), [1]);
      assert.ok((await admin.listTopics()).includes('js-admin'));
      await admin.deleteTopics({ topics: ['js-admin'] });
      await until(async () => !(await admin.listTopics()).includes('js-admin'), 'the topic is deleted');
    });
  },

  async group_administration() {
    await create('js-gadmin');
    await send('js-gadmin', [{ value: 'x' }]);
    await read('js-gadmin', 'js-gadmin-g', 1);
    await withAdmin(async (admin) => {
      assert.ok((await admin.listGroups()).groups.some((each) => each.groupId === 'js-gadmin-g'));
      const { groups } = await admin.describeGroups(['js-gadmin-g']);
      assert.equal(groups[0].state, 'Empty');
      await admin.resetOffsets({ groupId: 'js-gadmin-g', topic: 'js-gadmin', earliest: true });
      await admin.deleteGroups(['js-gadmin-g']);
      assert.ok(!(await admin.listGroups()).groups.some((each) => each.groupId === 'js-gadmin-g'));
    });
  },
};

scenarios[scenario]().then(
  () => console.log(`passed ${scenario}`),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
