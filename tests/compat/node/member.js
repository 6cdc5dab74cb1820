// A member of a group over kafkajs: node member.js JSON. ../README.md has the contract.
"use strict";

const { Kafka, PartitionAssigners, logLevel } = require("kafkajs");

const config = JSON.parse(process.argv[2]);
let owned = [];

// One line: what happened, and when by the clock that all processes share.
function say(event, fields = {}) {
	console.log(JSON.stringify({ t: Number(process.hrtime.bigint()), e: event, ...fields }));
}

function offsetsOf(batch) {
	const offsets = batch.messages.map((message) => Number(message.offset));
	return config.until === undefined || config.until === null ? offsets : offsets.filter((offset) => offset <= config.until);
}

// What came is processed, then committed; what a batch holds after its owner changed is left alone.
async function take(consumer, { batch, isRunning, isStale }) {
	const offsets = offsetsOf(batch);
	if (!isRunning() || isStale() || offsets.length === 0) return;
	const next = offsets[offsets.length - 1] + 1;
	const said = { [batch.partition]: next };
	say("records", { p: batch.partition, o: offsets });
	try {
		await consumer.commitOffsets([{ topic: batch.topic, partition: batch.partition, offset: String(next) }]);
		say("committed", { o: said });
	} catch (problem) {
		say("commit_failed", { o: said, m: String(problem) });
		throw problem;
	}
}

function giveUp() {
	if (owned.length > 0) say("revoked", { p: owned });
	owned = [];
}

async function main() {
	const kafka = new Kafka({ brokers: [config.bootstrap], clientId: config.name, logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50 } });
	const consumer = kafka.consumer({
		groupId: config.group,
		sessionTimeout: config.session_ms,
		heartbeatInterval: config.heartbeat_ms,
		rebalanceTimeout: 10000,
		metadataMaxAge: 1000,
		maxWaitTimeInMs: 100,
		partitionAssigners: [PartitionAssigners.roundRobin],
		retry: { initialRetryTime: 50 },
	});
	consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
		giveUp();
		owned = payload.memberAssignment[config.topic] || [];
		say("assigned", { p: owned });
	});
	consumer.on(consumer.events.REBALANCING, giveUp);
	consumer.on(consumer.events.CRASH, ({ payload }) => say("error", { m: String(payload.error) }));
	await consumer.connect();
	await consumer.subscribe({ topics: [config.topic], fromBeginning: true });
	say("started");
	process.stdin.resume();
	const asked = new Promise((resolve) => process.stdin.once("data", resolve).once("end", resolve));
	await consumer.run({ autoCommit: false, eachBatch: (work) => take(consumer, work) });
	await asked;
	await consumer.stop();
	giveUp();
	await consumer.disconnect();
	say("left");
	process.exit(0);
}

main().catch((problem) => {
	console.error(problem);
	process.exit(1);
});
