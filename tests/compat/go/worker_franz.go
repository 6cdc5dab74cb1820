package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// workerConfig is the word that a worker with transactions is started with; ../README.md has the contract.
type workerConfig struct {
	Bootstrap  string
	Name       string
	Mode       string
	In         string
	Out        string
	Group      string
	TxnID      string `json:"txn_id"`
	Partitions int
	PerTxn     int `json:"per_txn"`
	CommitMs   int `json:"commit_ms"`
	TimeoutMs  int `json:"timeout_ms"`
	SessionMs  int `json:"session_ms"`
}

const (
	inVain      = 3 // exit code of one that cannot go on and wants a successor
	pollRecords = 50
	pollTime    = 20 * time.Millisecond
)

// A session of a group and a plain client end their transactions differently; the rest is one.
type franzWorker struct {
	*workerConfig
	client  *kgo.Client
	session *kgo.GroupTransactSession
	txn     string
	count   int
	polled  map[string]bool
}

func (w *franzWorker) options() []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(w.Bootstrap),
		kgo.ClientID(w.Name),
		kgo.TransactionalID(w.TxnID),
		kgo.TransactionTimeout(time.Duration(w.TimeoutMs) * time.Millisecond),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxWait(50 * time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.MetadataMinAge(200 * time.Millisecond),
	}
}

func (w *franzWorker) keys(partitions map[string][]int32) []string {
	keys := []string{}
	for topic, numbers := range partitions {
		for _, number := range numbers {
			keys = append(keys, fmt.Sprintf("%s-%d", topic, number))
		}
	}
	return keys
}

func (w *franzWorker) tell(event string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
		say(event, map[string]any{"k": w.keys(partitions)})
	}
}

func (w *franzWorker) fail(err error) {
	say("in_vain", map[string]any{"txn": w.txn, "m": err.Error()})
	os.Exit(inVain)
}

func (w *franzWorker) begin() {
	w.count++
	w.txn = fmt.Sprintf("%s-%d", w.Name, w.count)
	w.polled = map[string]bool{}
	say("begin", map[string]any{"txn": w.txn})
	if err := w.client.BeginTransaction(); err != nil {
		w.fail(err)
	}
}

func (w *franzWorker) send(topic string, partition int, value string) {
	key, txn := fmt.Sprintf("%s-%d", topic, partition), w.txn
	say("send", map[string]any{"txn": txn, "k": key, "v": value})
	record := &kgo.Record{Topic: topic, Partition: int32(partition), Value: []byte(value)}
	w.client.Produce(context.Background(), record, func(record *kgo.Record, err error) {
		if err == nil {
			say("sent", map[string]any{"txn": txn, "k": key, "v": value, "o": record.Offset})
		}
	})
}

func (w *franzWorker) poll() []*kgo.Record {
	ctx, cancel := context.WithTimeout(context.Background(), pollTime)
	defer cancel()
	fetches := w.client.PollRecords(ctx, pollRecords)
	records := fetches.Records()
	if len(records) == 0 {
		return nil
	}
	var said [][]any
	for _, record := range records {
		key := fmt.Sprintf("%s-%d", record.Topic, record.Partition)
		w.polled[key] = true
		said = append(said, []any{key, record.Offset, string(record.Value)})
	}
	say("poll", map[string]any{"txn": w.txn, "r": said})
	return records
}

// end says that the transaction is asked to commit before the client flushes: it does both in one call.
func (w *franzWorker) end(commit bool) {
	var err error
	how := map[bool]string{true: "commit", false: "abort"}[commit]
	committed := commit
	if w.session != nil {
		say(how, map[string]any{"txn": w.txn})
		committed, err = w.session.End(context.Background(), kgo.TransactionEndTry(commit))
	} else {
		if commit {
			err = w.client.Flush(context.Background())
		} else {
			err = w.client.AbortBufferedRecords(context.Background())
		}
		say(how, map[string]any{"txn": w.txn})
		if err == nil {
			err = w.client.EndTransaction(context.Background(), kgo.TransactionEndTry(commit))
		}
	}
	if err != nil {
		w.fail(err)
	}
	if committed {
		say("committed", map[string]any{"txn": w.txn})
		return
	}
	if commit {
		say("abort", map[string]any{"txn": w.txn})
	}
	say("aborted", map[string]any{"txn": w.txn})
	if w.session != nil {
		for key := range w.polled {
			say("assigned", map[string]any{"k": []string{key}})
		}
	}
}

// copy has records of `in` go to `out`, a transaction every CommitMs or so many records.
func (w *franzWorker) copy() {
	due := time.Now().Add(time.Duration(w.CommitMs) * time.Millisecond)
	w.begin()
	for sent := 0; time.Now().Before(due) && sent < w.PerTxn; {
		for _, record := range w.poll() {
			number, err := strconv.Atoi(string(record.Value))
			if err != nil {
				w.fail(err)
			}
			w.send(w.Out, number%w.Partitions, fmt.Sprintf("%d@%s", number, w.txn))
			sent++
		}
	}
	w.end(true)
}

// play does a few writes and reads of any partition; some are taken back.
func (w *franzWorker) play() {
	w.begin()
	for number, steps := 0, 1+rand.Intn(6); number < steps; number++ {
		if rand.Float64() < 0.6 {
			w.send(w.In, rand.Intn(w.Partitions), fmt.Sprintf("%s/%d", w.txn, number))
		} else {
			w.poll()
		}
	}
	w.end(rand.Float64() < 0.85)
}

func (w *franzWorker) open() error {
	var err error
	if w.Mode == "copy" {
		w.session, err = kgo.NewGroupTransactSession(append(w.options(),
			kgo.ConsumerGroup(w.Group), kgo.ConsumeTopics(w.In), kgo.Balancers(kgo.RangeBalancer()),
			kgo.SessionTimeout(time.Duration(w.SessionMs)*time.Millisecond), kgo.HeartbeatInterval(500*time.Millisecond),
			kgo.OnPartitionsAssigned(w.tell("assigned")), kgo.OnPartitionsRevoked(w.tell("revoked")), kgo.OnPartitionsLost(w.tell("revoked")))...)
		if err == nil {
			w.client = w.session.Client()
		}
		return err
	}
	partitions := map[int32]kgo.Offset{}
	for p := 0; p < w.Partitions; p++ {
		partitions[int32(p)] = kgo.NewOffset().AtStart()
	}
	w.client, err = kgo.NewClient(append(w.options(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{w.In: partitions}))...)
	return err
}

func franzWork(text string) error {
	worker := &franzWorker{workerConfig: &workerConfig{}}
	if err := json.Unmarshal([]byte(text), worker.workerConfig); err != nil {
		return err
	}
	if err := worker.open(); err != nil {
		return err
	}
	say("started", nil)
	for asked := askedToLeave(); ; {
		select {
		case <-asked:
			worker.client.Close()
			say("left", nil)
			return nil
		default:
			if worker.Mode == "copy" {
				worker.copy()
			} else {
				worker.play()
			}
		}
	}
}
