package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// memberConfig is the word that a member of a group is started with; ../README.md has the contract.
type memberConfig struct {
	Bootstrap   string
	Group       string
	Topic       string
	Name        string
	Protocol    string
	Assignor    string
	Instance    string
	SessionMs   int    `json:"session_ms"`
	HeartbeatMs int    `json:"heartbeat_ms"`
	Until       *int64 `json:"until"`
}

var saying sync.Mutex

// say prints one line: what happened, and when by the clock that all processes share.
func say(event string, fields map[string]any) {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	line := map[string]any{"t": now.Nano(), "e": event}
	for name, value := range fields {
		line[name] = value
	}
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	saying.Lock()
	defer saying.Unlock()
	fmt.Println(string(text))
}

func sayPartitions(event string, partitions []int32) {
	sorted := slices.Clone(partitions)
	slices.Sort(sorted)
	if sorted == nil {
		sorted = []int32{}
	}
	say(event, map[string]any{"p": sorted})
}

// process says what of the offsets is processed and returns the offset to commit, if there is one.
func (c *memberConfig) process(partition int32, offsets []int64) (int64, bool) {
	if c.Until != nil {
		offsets = slices.DeleteFunc(offsets, func(offset int64) bool { return offset > *c.Until })
	}
	if len(offsets) == 0 {
		return 0, false
	}
	say("records", map[string]any{"p": partition, "o": offsets})
	return offsets[len(offsets)-1] + 1, true
}

// askedToLeave is closed when standard input has a line or ends.
func askedToLeave() <-chan struct{} {
	asked := make(chan struct{})
	go func() {
		os.Stdin.Read(make([]byte, 1))
		close(asked)
	}()
	return asked
}

func runMember(name, text string) error {
	config := &memberConfig{}
	if err := json.Unmarshal([]byte(text), config); err != nil {
		return err
	}
	if name == "franz" {
		return franzMember(config)
	}
	return saramaMember(config)
}
