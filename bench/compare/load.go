package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load is a number of uploads by clients that each keep a connection.
type load struct {
	addr    string
	request request
	size    int64 // of every file
	uploads int
	atOnce  int
	// limit is when the last upload is begun.
	limit time.Duration
}

// outcome is what became of a load.
type outcome struct {
	took      time.Duration
	latencies []time.Duration // of the uploads that were answered 201, in order of length
	failures  int
	failure   error // the first
}

// run sends the load and returns when every upload has ended.
func (l load) run(ctx context.Context) outcome {
	var (
		o     outcome
		mu    sync.Mutex
		wait  sync.WaitGroup
		taken atomic.Int64
	)
	began := time.Now()
	for range l.atOnce {
		wait.Go(func() {
			c := client{addr: l.addr}
			defer c.close()
			var latencies []time.Duration
			var failures int
			var failure error
			for taken.Add(1) <= int64(l.uploads) && time.Since(began) < l.limit && ctx.Err() == nil {
				start := time.Now()
				if err := c.upload(ctx, l.request); err != nil {
					failures++
					failure = err
					continue
				}
				latencies = append(latencies, time.Since(start))
			}
			mu.Lock()
			defer mu.Unlock()
			o.latencies = append(o.latencies, latencies...)
			o.failures += failures
			if o.failure == nil {
				o.failure = failure
			}
		})
	}
	wait.Wait()
	o.took = time.Since(began)
	slices.Sort(o.latencies)
	return o
}

// quantile returns the time within which the share q of the uploads ended.
func (o outcome) quantile(q float64) time.Duration {
	if len(o.latencies) == 0 {
		return 0
	}
	return o.latencies[min(int(q*float64(len(o.latencies))), len(o.latencies)-1)]
}

// client has one connection at a time.
type client struct {
	addr   string
	conn   net.Conn
	reader *bufio.Reader
	pieces net.Buffers // writev uses its slice up
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// upload sends a request and reads its answer.
func (c *client) upload(ctx context.Context, r request) error {
	if c.conn == nil {
		conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", c.addr)
		if err != nil {
			return err
		}
		c.conn, c.reader = conn, bufio.NewReader(conn)
	}
	conn := c.conn // which c forgets when it closes it
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c.pieces = append(c.pieces[:0], r.pieces...)
	pieces := c.pieces // what is left of it
	_, sent := pieces.WriteTo(c.conn)
	err := c.answer()
	if sent != nil && err == nil {
		err = fmt.Errorf("answered 201 before the end: %w", sent)
	}
	if err != nil {
		c.close()
	}
	return err
}

func (c *client) answer() error {
	resp, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err == nil && resp.StatusCode != http.StatusCreated {
		err = fmt.Errorf("answered %s: %s", resp.Status, body)
	}
	if resp.Close {
		c.close()
	}
	return err
}
