// Round trips with kafkajs. Its steps are listed and run as those in Python are: see steps.py.

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const { Kafka, CompressionTypes, ConfigResourceTypes, logLevel } = require('kafkajs')

const PARTITIONS = 4
const COUNT = 200
const TIMEOUT = 20_000

const fresh = (what) => `${what}-${randomUUID().slice(0, 8)}`
const letters = (count = COUNT, first = 0) =>
  Array.from({ length: count }, (_, n) => ({
    key: `k${(first + n) % 17}`,
    value: `${first + n}:${'Dearest Felice, '.repeat((first + n) % 9)}`,
    headers: { mood: 'anxious' },
  }))
const texts = (messages) => messages.map((m) => `${m.key}=${m.value}`).sort()

const topicOf = async (kafka, numPartitions = PARTITIONS) => {
  const topic = fresh('letters')
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions }], waitForLeaders: true })
  await admin.disconnect()
  return topic
}

const write = async (kafka, topic, messages, compression = CompressionTypes.None) => {
  const producer = kafka.producer({ idempotent: true })
  await producer.connect()
  await producer.send({ topic, messages, compression, acks: -1 })
  await producer.disconnect()
}

// Reads with the consumers given until `count` records came, each of them once; commits where asked to, and leaves.
const read = async (topic, count, consumers, { commit = false, joined = 1 } = {}) => {
  const found = new Map()
  const owners = new Set()
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${found.size} of ${count} records`)), TIMEOUT)
    const look = () => {
      if (found.size === count && owners.size >= joined) {
        clearTimeout(timer)
        resolve()
      }
    }
    for (const consumer of consumers) {
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
        if ((payload.memberAssignment[topic] ?? []).length) owners.add(consumer)
        look()
      })
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
      consumer
        .connect()
        .then(() => consumer.subscribe({ topics: [topic], fromBeginning: true }))
        .then(() =>
          consumer.run({
            autoCommit: false,
            eachMessage: async ({ partition, message }) => {
              found.set(`${partition} ${message.offset}`, { partition, ...message })
              look()
            },
          }),
        )
        .catch(reject)
    }
  })
  const messages = [...found.values()]
  if (commit) {
    const ends = new Map()
    for (const { partition, offset } of messages) ends.set(partition, Math.max(ends.get(partition) ?? 0, Number(offset) + 1))
    const offsets = [...ends].map(([partition, offset]) => ({ topic, partition, offset: String(offset) }))
    await consumers[0].commitOffsets(offsets)
  }
  await Promise.all(consumers.map((consumer) => consumer.disconnect()))
  return messages
}

const steps = {
  produce: async (kafka) => {
    for (const codec of [CompressionTypes.None, CompressionTypes.GZIP]) {
      const topic = await topicOf(kafka)
      await write(kafka, topic, letters(), codec)
      const found = await read(topic, COUNT, [kafka.consumer({ groupId: fresh('readers') })])
      assert.deepEqual(texts(found), texts(letters()))
      assert.equal(String(found[0].headers.mood), 'anxious')
    }
  },

  'group consume': async (kafka) => {
    const topic = await topicOf(kafka)
    const groupId = fresh('readers')
    await write(kafka, topic, letters())
    const member = () => kafka.consumer({ groupId, heartbeatInterval: 300, rebalanceTimeout: 5000 })
    await read(topic, COUNT, [member(), member()], { commit: true, joined: 2 })
    await write(kafka, topic, letters(50, COUNT))
    assert.deepEqual(texts(await read(topic, 50, [member()])), texts(letters(50, COUNT)))
  },

  transaction: async (kafka) => {
    const [source, target] = [await topicOf(kafka, 1), await topicOf(kafka, 1)]
    const consumerGroupId = fresh('copiers')
    const transactionalId = fresh('copier')
    const producer = kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    for (const commits of [true, false, true]) {
      const transaction = await producer.transaction()
      await transaction.send({ topic: target, messages: letters(20) })
      await transaction.sendOffsets({ consumerGroupId, topics: [{ topic: source, partitions: [{ partition: 0, offset: commits ? '7' : '9' }] }] })
      if (commits) await transaction.commit()
      else await transaction.abort()
    }
    const admin = kafka.admin()
    await admin.connect()
    const [{ partitions }] = await admin.fetchOffsets({ groupId: consumerGroupId, topics: [source] })
    await admin.disconnect()
    assert.equal(partitions[0].offset, '7')
    const all = kafka.consumer({ groupId: fresh('readers'), readUncommitted: true })
    assert.equal((await read(target, 60, [all])).length, 60)
    const committed = await read(target, 40, [kafka.consumer({ groupId: fresh('readers') })])
    assert.deepEqual(texts(committed), texts([...letters(20), ...letters(20)]))
    const lost = await producer.transaction()
    await lost.send({ topic: target, messages: letters(1) })
    const second = kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 })
    await second.connect()
    const won = await second.transaction()
    await won.abort()
    await assert.rejects(lost.commit(), /epoch|fenced/i)
    await Promise.all([producer.disconnect(), second.disconnect()])
  },

  admin: async (kafka) => {
    const admin = kafka.admin()
    await admin.connect()
    const topic = await topicOf(kafka, 2)
    assert.equal(await admin.createTopics({ topics: [{ topic }] }), false)
    await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
    const resource = { type: ConfigResourceTypes.TOPIC, name: topic }
    await admin.alterConfigs({ resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '1000000' }] }] })
    const until = async (what, holds) => {
      const deadline = Date.now() + TIMEOUT
      while (!(await holds())) assert.ok(Date.now() < deadline, what)
    }
    await until('retention.ms', async () => {
      const { resources } = await admin.describeConfigs({ resources: [{ ...resource, configNames: ['retention.ms'] }] })
      return resources[0].configEntries[0].configValue === '1000000'
    })
    await until('five partitions', async () => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      return topics[0].partitions.length === 5
    })
    await write(kafka, topic, letters())
    const offsets = await admin.fetchTopicOffsets(topic)
    assert.equal(offsets.reduce((sum, { high }) => sum + Number(high), 0), COUNT)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '-1' }] })
    const [{ high }] = offsets.filter(({ partition }) => partition === 0)
    await until('low watermark', async () => (await admin.fetchTopicOffsets(topic)).find((p) => p.partition === 0).low === high)
    const groupId = fresh('readers')
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 1, offset: '1' }] })
    assert.ok((await admin.listGroups()).groups.some((group) => group.groupId === groupId))
    const { groups } = await admin.describeGroups([groupId])
    assert.equal(groups[0].state, 'Empty')
    await admin.deleteGroups([groupId])
    const acl = { resourceType: 2, resourceName: fresh('secret'), resourcePatternType: 3, principal: 'User:max', host: '*', operation: 3, permissionType: 3 }
    await admin.createAcls({ acl: [acl] })
    const { principal, host, ...filter } = acl
    await until('the ACL', async () => (await admin.describeAcls(filter)).resources.length === 1)
    await admin.deleteAcls({ filters: [filter] })
    await admin.deleteTopics({ topics: [topic] })
    await until('deletion', async () => !(await admin.listTopics()).includes(topic))
    await admin.disconnect()
  },
}

const main = async () => {
  if (process.argv[2] === '--list') return console.log(Object.keys(steps).join('\n'))
  const [servers, name] = process.argv.slice(2)
  await steps[name](new Kafka({ clientId: 'judge', brokers: servers.split(','), logLevel: logLevel.ERROR }))
  process.exit(0) // kafkajs may keep a timer
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
