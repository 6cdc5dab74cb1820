// Lines to records through kafkajs: node produce.js BOOTSTRAP TOPIC CODEC < TEXT
//
// kafkajs brings gzip; the other codecs are libraries plugged into it here, as its documentation has users do.
"use strict";

const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require("kafkajs");
const SnappyJS = require("snappyjs");
const lz4 = require("lz4-napi");
const zstd = require("@bokuweb/zstd-wasm");

const BATCH_BYTES = 200 * 1000;
const MANY = 2000;
const TYPES = {
	none: CompressionTypes.None,
	gzip: CompressionTypes.GZIP,
	snappy: CompressionTypes.Snappy,
	lz4: CompressionTypes.LZ4,
	zstd: CompressionTypes.ZSTD,
};

const refuse = () => {
	throw new Error("this program only produces");
};
const codec = (pack) => () => ({ compress: async (encoder) => Buffer.from(pack(encoder.buffer)), decompress: refuse });

CompressionCodecs[CompressionTypes.Snappy] = codec((data) => SnappyJS.compress(data));
CompressionCodecs[CompressionTypes.LZ4] = codec((data) => lz4.compressFrameSync(data));
CompressionCodecs[CompressionTypes.ZSTD] = codec((data) => zstd.compress(data, 3));

// Only a line feed ends a line: readline would split at other characters, too.
async function* batches(input) {
	let rest = Buffer.alloc(0);
	let batch = [];
	let size = 0;
	for await (const chunk of input) {
		const data = rest.length ? Buffer.concat([rest, chunk]) : chunk;
		let start = 0;
		for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, start)) {
			batch.push({ value: data.subarray(start, end), partition: 0 });
			size += end - start;
			start = end + 1;
			if (size >= BATCH_BYTES || batch.length >= MANY) {
				yield batch;
				batch = [];
				size = 0;
			}
		}
		rest = data.subarray(start);
	}
	if (batch.length) yield batch;
}

async function main() {
	const [bootstrap, topic, name] = process.argv.slice(2);
	await zstd.init();
	const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR });
	const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false });
	await producer.connect();
	for await (const messages of batches(process.stdin))
		await producer.send({ topic, acks: -1, compression: TYPES[name], messages });
	await producer.disconnect();
}

main().catch((problem) => {
	console.error(problem);
	process.exit(1);
});
