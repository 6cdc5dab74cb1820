package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var franzCodecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

func franzProduce(bootstrap, topic, codec string, lines *bufio.Reader) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(franzCodecs[codec]),
		kgo.ProducerLinger(5*time.Millisecond),
		kgo.MaxBufferedRecords(100000),
	)
	if err != nil {
		return err
	}
	defer client.Close()

	var failed atomic.Value
	for {
		line, err := nextLine(lines)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		client.Produce(context.Background(), &kgo.Record{Value: line}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(err)
			}
		})
	}
	if err := client.Flush(context.Background()); err != nil {
		return err
	}
	if err, some := failed.Load().(error); some {
		return fmt.Errorf("a record was not delivered: %w", err)
	}
	return nil
}

func franzConsume(bootstrap, topic string, out io.Writer) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(context.Background(), topic)
	if err != nil {
		return err
	}
	end, known := ends.Lookup(topic, 0)
	if !known || end.Err != nil {
		return fmt.Errorf("no end of the partition: %v", end.Err)
	}
	for next := int64(0); next < end.Offset; {
		fetches := client.PollFetches(context.Background())
		if errs := fetches.Errors(); len(errs) > 0 {
			return errs[0].Err
		}
		for records := fetches.RecordIter(); !records.Done(); {
			record := records.Next()
			if record.Offset != next {
				return fmt.Errorf("offset %d where %d is due", record.Offset, next)
			}
			next++
			if _, err := out.Write(append(record.Value, '\n')); err != nil {
				return err
			}
		}
	}
	return nil
}
