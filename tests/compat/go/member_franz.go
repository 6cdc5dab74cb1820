package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func franzBalancer(config *memberConfig) (kgo.GroupBalancer, error) {
	switch config.Assignor {
	case "range":
		return kgo.RangeBalancer(), nil
	case "roundrobin":
		return kgo.RoundRobinBalancer(), nil
	case "sticky", "uniform":
		return kgo.StickyBalancer(), nil
	case "cooperative-sticky":
		return kgo.CooperativeStickyBalancer(), nil
	}
	return nil, fmt.Errorf("no assignor %s", config.Assignor)
}

func franzOptions(config *memberConfig) ([]kgo.Opt, error) {
	balancer, err := franzBalancer(config)
	if err != nil {
		return nil, err
	}
	tell := func(event string) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			sayPartitions(event, partitions[config.Topic])
		}
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(config.Bootstrap),
		kgo.ClientID(config.Name),
		kgo.ConsumerGroup(config.Group),
		kgo.ConsumeTopics(config.Topic),
		kgo.Balancers(balancer),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.MetadataMinAge(200 * time.Millisecond),
		kgo.MetadataMaxAge(time.Second),
		kgo.OnPartitionsAssigned(tell("assigned")),
		kgo.OnPartitionsRevoked(tell("revoked")),
		kgo.OnPartitionsLost(tell("lost")),
	}
	if config.Protocol == "consumer" {
		options = append(options, kgo.ServerSideBalancer())
	} else {
		options = append(options,
			kgo.SessionTimeout(time.Duration(config.SessionMs)*time.Millisecond),
			kgo.HeartbeatInterval(time.Duration(config.HeartbeatMs)*time.Millisecond))
	}
	if config.Instance != "" {
		options = append(options, kgo.InstanceID(config.Instance))
	}
	return options, nil
}

// franzTake is one poll: what came is processed, then committed.
func franzTake(client *kgo.Client, config *memberConfig, asked context.Context) {
	fetches := client.PollFetches(asked)
	defer client.AllowRebalance()
	for _, failed := range fetches.Errors() {
		if asked.Err() == nil {
			say("error", map[string]any{"m": failed.Err.Error()})
		}
	}
	var last []*kgo.Record
	said := map[string]int64{}
	fetches.EachPartition(func(fetched kgo.FetchTopicPartition) {
		var offsets []int64
		var records []*kgo.Record
		for _, record := range fetched.Records {
			offsets = append(offsets, record.Offset)
			records = append(records, record)
		}
		if next, some := config.process(fetched.Partition, offsets); some {
			last = append(last, records[next-1-records[0].Offset])
			said[fmt.Sprint(fetched.Partition)] = next
		}
	})
	if len(last) == 0 {
		return
	}
	if err := client.CommitRecords(context.Background(), last...); err != nil {
		say("commit_failed", map[string]any{"o": said, "m": err.Error()})
	} else {
		say("committed", map[string]any{"o": said})
	}
}

func franzMember(config *memberConfig) error {
	options, err := franzOptions(config)
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	say("started", nil)
	asked, ask := context.WithCancel(context.Background())
	go func() {
		<-askedToLeave()
		ask()
	}()
	for asked.Err() == nil {
		franzTake(client, config, asked)
	}
	client.CloseAllowingRebalance()
	say("left", nil)
	return nil
}
