// Lines to records and back through franz-go and sarama.
//
//	lines franz|sarama produce|consume BOOTSTRAP TOPIC CODEC
//
//	lines franz|sarama member JSON
//	lines franz worker JSON
//
// produce reads lines from standard input; consume writes them to standard output until what was the end of partition 0 at its start. member
// is a member of a group, worker one with transactions.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
)

type client struct {
	produce func(bootstrap, topic, codec string, lines *bufio.Reader) error
	consume func(bootstrap, topic string, out io.Writer) error
}

var clients = map[string]client{
	"franz":  {franzProduce, franzConsume},
	"sarama": {saramaProduce, saramaConsume},
}

// nextLine returns a copy without the line feed; io.EOF when there is none.
func nextLine(lines *bufio.Reader) ([]byte, error) {
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	return line[:len(line)-1], nil
}

func run() error {
	if len(os.Args) == 4 && os.Args[2] == "member" {
		return runMember(os.Args[1], os.Args[3])
	}
	if len(os.Args) == 4 && os.Args[1] == "franz" && os.Args[2] == "worker" {
		return franzWork(os.Args[3])
	}
	if len(os.Args) != 6 {
		return fmt.Errorf("usage: lines franz|sarama produce|consume BOOTSTRAP TOPIC CODEC")
	}
	c, known := clients[os.Args[1]]
	if !known {
		return fmt.Errorf("no client %s", os.Args[1])
	}
	if os.Args[2] == "produce" {
		return c.produce(os.Args[3], os.Args[4], os.Args[5], bufio.NewReaderSize(os.Stdin, 1<<20))
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	if err := c.consume(os.Args[3], os.Args[4], out); err != nil {
		return err
	}
	return out.Flush()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "lines:", err)
		os.Exit(1)
	}
}
