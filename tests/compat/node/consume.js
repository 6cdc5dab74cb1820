// Records to lines through kafkajs: node consume.js BOOTSTRAP TOPIC LINES > TEXT
//
// A kafkajs consumer is always a member of a group. It ends when it has written so many lines of partition 0. When the group has put it
// out, it begins again where it committed last, as kafkajs does, and passes over what it has written.
"use strict";

const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require("kafkajs");
const SnappyJS = require("snappyjs");
const lz4 = require("lz4-napi");
const zstd = require("@bokuweb/zstd-wasm");

const XERIAL_HEADER = 16;
const SESSION_MS = 5 * 60 * 1000; // kafkajs sends heartbeats between batches only, and the machine may be busy
const refuse = () => {
	throw new Error("this program only consumes");
};
const codec = (unpack) => () => ({ compress: refuse, decompress: async (data) => Buffer.from(unpack(data)) });

// Kafka's snappy: a header, then blocks with their length; some clients send one bare block.
function unpackSnappy(data) {
	if (data.subarray(1, 7).toString("latin1") !== "SNAPPY") return SnappyJS.uncompress(data);
	const blocks = [];
	for (let at = XERIAL_HEADER; at < data.length; ) {
		const size = data.readInt32BE(at);
		blocks.push(Buffer.from(SnappyJS.uncompress(data.subarray(at + 4, at + 4 + size))));
		at += 4 + size;
	}
	return Buffer.concat(blocks);
}

CompressionCodecs[CompressionTypes.Snappy] = codec(unpackSnappy);
CompressionCodecs[CompressionTypes.LZ4] = codec((data) => lz4.decompressFrameSync(data));
CompressionCodecs[CompressionTypes.ZSTD] = codec((data) => zstd.decompress(data));

async function write(text) {
	if (!process.stdout.write(text)) await new Promise((resolve) => process.stdout.once("drain", resolve));
}

async function main() {
	const [bootstrap, topic, lines] = process.argv.slice(2);
	await zstd.init();
	const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR });
	const consumer = kafka.consumer({ groupId: `kafkajs-${topic}-${process.pid}`, maxWaitTimeInMs: 100, sessionTimeout: SESSION_MS });
	let next = 0;
	let finish;
	let fail;
	const finished = new Promise((resolve, reject) => ([finish, fail] = [resolve, reject]));
	consumer.on(consumer.events.CRASH, ({ payload }) => payload.restart || fail(payload.error));
	await consumer.connect();
	await consumer.subscribe({ topics: [topic], fromBeginning: true });
	if (Number(lines) === 0) finish();
	await consumer.run({
		eachBatch: async ({ batch, resolveOffset, heartbeat }) => {
			const parts = [];
			for (const message of batch.messages) {
				if (batch.partition !== 0 || Number(message.offset) > next) return fail(new Error(`offset ${message.offset} where ${next} is due`));
				if (Number(message.offset) < next) continue;
				next++;
				parts.push(message.value, Buffer.from("\n"));
			}
			if (parts.length > 0) await write(Buffer.concat(parts));
			if (batch.messages.length > 0) resolveOffset(batch.lastOffset());
			await heartbeat();
			if (next >= Number(lines)) finish();
		},
	});
	await finished;
	await consumer.disconnect();
}

main()
	.then(() => process.stdout.end())
	.catch((problem) => {
		console.error(problem);
		process.exit(1);
	});
