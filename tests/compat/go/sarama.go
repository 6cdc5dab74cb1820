package main

import (
	"bufio"
	"fmt"
	"io"

	"github.com/IBM/sarama"
)

var saramaCodecs = map[string]sarama.CompressionCodec{
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

func saramaConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.ApiVersionsRequest = true
	return config
}

func saramaProduce(bootstrap, topic, codec string, lines *bufio.Reader) error {
	config := saramaConfig()
	config.Producer.Compression = saramaCodecs[codec]
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Net.MaxOpenRequests = 1
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	producer, err := sarama.NewAsyncProducer([]string{bootstrap}, config)
	if err != nil {
		return err
	}

	ended := make(chan error, 1)
	go func() {
		var failure error
		successes, failures := producer.Successes(), producer.Errors()
		for successes != nil || failures != nil {
			select {
			case _, more := <-successes:
				if !more {
					successes = nil
				}
			case problem, more := <-failures:
				if !more {
					failures = nil
				} else {
					failure = problem
				}
			}
		}
		ended <- failure
	}()
	for {
		line, err := nextLine(lines)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		producer.Input() <- &sarama.ProducerMessage{Topic: topic, Partition: 0, Value: sarama.ByteEncoder(line)}
	}
	producer.AsyncClose()
	return <-ended
}

func saramaConsume(bootstrap, topic string, out io.Writer) error {
	config := saramaConfig()
	config.Consumer.Return.Errors = true
	client, err := sarama.NewClient([]string{bootstrap}, config)
	if err != nil {
		return err
	}
	defer client.Close()
	end, err := client.GetOffset(topic, 0, sarama.OffsetNewest)
	if err != nil {
		return err
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return err
	}
	partition, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	for next := int64(0); next < end; next++ {
		select {
		case message := <-partition.Messages():
			if message.Offset != next {
				return fmt.Errorf("offset %d where %d is due", message.Offset, next)
			}
			if _, err := out.Write(append(message.Value, '\n')); err != nil {
				return err
			}
		case problem := <-partition.Errors():
			return problem
		}
	}
	return nil
}
