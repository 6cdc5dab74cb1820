package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

var saramaStrategies = map[string]func() sarama.BalanceStrategy{
	"range":      sarama.NewBalanceStrategyRange,
	"roundrobin": sarama.NewBalanceStrategyRoundRobin,
	"sticky":     sarama.NewBalanceStrategySticky,
}

type saramaHandler struct {
	config *memberConfig
}

func (h *saramaHandler) Setup(session sarama.ConsumerGroupSession) error {
	sayPartitions("assigned", session.Claims()[h.config.Topic])
	return nil
}

func (h *saramaHandler) Cleanup(session sarama.ConsumerGroupSession) error {
	sayPartitions("revoked", session.Claims()[h.config.Topic])
	return nil
}

// ConsumeClaim runs once for each partition. sarama says of a commit only what failed, on the consumer's channel of errors.
func (h *saramaHandler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		next, some := h.config.process(claim.Partition(), []int64{message.Offset})
		if !some {
			continue
		}
		session.MarkMessage(message, "")
		session.Commit()
		say("committed", map[string]any{"o": map[string]int64{fmt.Sprint(claim.Partition()): next}})
	}
	return nil
}

func saramaMember(config *memberConfig) error {
	strategy, known := saramaStrategies[config.Assignor]
	if !known || config.Protocol != "classic" {
		return fmt.Errorf("no assignor %s of protocol %s", config.Assignor, config.Protocol)
	}
	settings := saramaConfig()
	settings.ClientID = config.Name
	settings.Metadata.RefreshFrequency = time.Second
	settings.Consumer.Return.Errors = true
	settings.Consumer.Offsets.Initial = sarama.OffsetOldest
	settings.Consumer.Offsets.AutoCommit.Enable = false
	settings.Consumer.MaxWaitTime = 100 * time.Millisecond
	settings.Consumer.Group.Session.Timeout = time.Duration(config.SessionMs) * time.Millisecond
	settings.Consumer.Group.Heartbeat.Interval = time.Duration(config.HeartbeatMs) * time.Millisecond
	settings.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy()}
	settings.Consumer.Group.InstanceId = config.Instance
	group, err := sarama.NewConsumerGroup([]string{config.Bootstrap}, config.Group, settings)
	if err != nil {
		return err
	}
	go func() {
		for problem := range group.Errors() {
			say("commit_failed", map[string]any{"o": map[string]int64{}, "m": problem.Error()})
		}
	}()
	say("started", nil)
	asked, ask := context.WithCancel(context.Background())
	go func() {
		<-askedToLeave()
		ask()
	}()
	for asked.Err() == nil {
		err := group.Consume(asked, []string{config.Topic}, &saramaHandler{config})
		if err != nil && asked.Err() == nil && !errors.Is(err, sarama.ErrClosedConsumerGroup) {
			say("error", map[string]any{"m": err.Error()})
		}
	}
	if err := group.Close(); err != nil {
		return err
	}
	say("left", nil)
	return nil
}
