package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/filefield/filefield/internal/s3test"
)

const (
	nodes  = 4
	drives = 2 // of each node
	// readQuorum is how many of the eight drives it takes to read: half of them,
	// with the parity that MinIO gives a set of this size. It takes one more to write.
	readQuorum = nodes * drives / 2

	region    = "us-east-1"
	accessKey = "soak-access"
	secretKey = "soak-secret-0123456789"
)

// cluster is MinIO on four loopback ports.
type cluster struct {
	dir                string
	program, supervise string
	endpoints          []string // of all drives, as each node is told them
	nodes              [nodes]*node
	probes             int // made so far, by one goroutine at a time
}

// node is one of the cluster's processes. Its kill and start are called by one
// goroutine at a time.
type node struct {
	number  int
	addr    string
	starts  int
	process *process
}

// startCluster returns when all nodes can be used.
func startCluster(ctx context.Context, dir string) (c *cluster, err error) {
	c = &cluster{dir: dir}
	if c.program, c.supervise, err = s3test.MinIOPrograms(); err != nil {
		return nil, err
	}
	addrs, err := freeAddrs(nodes)
	if err != nil {
		return nil, err
	}
	for i, addr := range addrs {
		c.nodes[i] = &node{number: i + 1, addr: addr}
		for d := range drives {
			drive := c.drive(i, d)
			if err := os.MkdirAll(drive, 0o700); err != nil {
				return nil, err
			}
			c.endpoints = append(c.endpoints, "http://"+addr+drive)
		}
	}
	for _, n := range c.nodes {
		if err := c.start(n); err != nil {
			c.stop()
			return nil, err
		}
	}
	if err := c.waitWhole(ctx, time.Minute); err != nil {
		err = fmt.Errorf("%w; node 1 printed:\n%s", err, c.log(c.nodes[0]))
		c.stop()
		return nil, err
	}
	return c, nil
}

func (c *cluster) drive(node, drive int) string {
	return filepath.Join(c.dir, fmt.Sprintf("node%d", node+1), fmt.Sprintf("drive%d", drive+1))
}

func (c *cluster) start(n *node) (err error) {
	env := []string{
		"HOME=" + c.dir, "PATH=" + os.Getenv("PATH"),
		"MINIO_ROOT_USER=" + accessKey, "MINIO_ROOT_PASSWORD=" + secretKey, "MINIO_SITE_REGION=" + region,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off",
		"MINIO_CI_CD=1",               // accepts folders on the root disk
		"MINIO_API_REQUESTS_MAX=1024", // otherwise derived from the machine's memory
		// In a container MinIO does not take a loopback address for its own.
		"_MINIO_SERVER_LOCAL=" + n.addr,
	}
	n.starts++
	args := append([]string{"server", "--address", n.addr}, c.endpoints...)
	n.process, err = start(c.supervise, c.logFile(n), env, c.program, args...)
	return err
}

func (c *cluster) logFile(n *node) string {
	return filepath.Join(c.dir, fmt.Sprintf("node%d.%d.log", n.number, n.starts))
}

func (c *cluster) log(n *node) string {
	text, err := os.ReadFile(c.logFile(n))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4096):])
}

func (c *cluster) stop() {
	var all sync.WaitGroup
	for _, n := range c.nodes {
		if n.process != nil {
			all.Go(n.process.kill) // its data goes, too
		}
	}
	all.Wait()
}

// waitWhole waits until the cluster bears the loss of any node: every node answers
// that it could do without itself, and what is written through it reaches all drives.
// The answers alone do not suffice. A node that has just started says that it is
// healthy before it sees the others, and they may take some seconds more until they
// send to its drives again. Whoever kills another node then has more away than the
// cluster bears, and MinIO says of files that it does not find them.
func (c *cluster) waitWhole(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the cluster does not become whole"))
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Timeout: 5 * time.Second, Transport: transport}
	return poll(ctx, 250*time.Millisecond, func() error {
		for _, n := range c.nodes {
			for _, path := range []string{"live", "cluster?maintenance=true"} {
				if status, _, err := get(ctx, client, "http://"+n.addr+"/minio/health/"+path); err != nil || status != http.StatusOK {
					return fmt.Errorf("node %d is not whole: %s: %d, %v", n.number, path, status, err) //nolint:errorlint // it may be nil
				}
			}
		}
		for _, n := range c.nodes {
			if err := c.probe(ctx, n, transport); err != nil {
				return fmt.Errorf("write through node %d: %w", n.number, err)
			}
		}
		return nil
	})
}

// probeBucket has the objects by which waitWhole finds out.
const probeBucket = "probe"

// probe writes an object through a node, and sees that it is on all drives.
func (c *cluster) probe(ctx context.Context, n *node, transport http.RoundTripper) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client, err := minio.New(n.addr, &minio.Options{
		Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: region, Transport: transport, MaxRetries: 1,
	})
	if err != nil {
		return err
	}
	err = client.MakeBucket(ctx, probeBucket, minio.MakeBucketOptions{})
	if code := minio.ToErrorResponse(err).Code; err != nil && code != "BucketAlreadyOwnedByYou" {
		return err
	}
	c.probes++
	key := fmt.Sprintf("%d", c.probes)
	if _, err := client.PutObject(ctx, probeBucket, key, strings.NewReader(key), int64(len(key)), minio.PutObjectOptions{}); err != nil {
		return err
	}
	for i := range nodes {
		for d := range drives {
			if _, err := os.Stat(filepath.Join(c.drive(i, d), probeBucket, key, "xl.meta")); err != nil {
				return fmt.Errorf("it did not reach a drive of node %d: %w", i+1, err)
			}
		}
	}
	return client.RemoveObject(ctx, probeBucket, key, minio.RemoveObjectOptions{})
}

// openUploads counts the multipart uploads that are open, and those of which half of
// the drives have something left. MinIO starts one on as many drives as it takes to
// write, and when it is ended removes it from those it reaches, whatever their
// number: what fewer have was ended, and MinIO removes that itself, after a day.
func (c *cluster) openUploads() (open, remains int, err error) {
	found := map[string]int{}
	for n := range nodes {
		for d := range drives {
			list, err := fs.Glob(os.DirFS(c.drive(n, d)), ".minio.sys/multipart/*/*/xl.meta")
			if err != nil {
				return 0, 0, err
			}
			for _, path := range list {
				found[path]++
			}
		}
	}
	for _, copies := range found {
		switch {
		case copies > readQuorum:
			open++
		case copies == readQuorum:
			remains++
		}
	}
	return open, remains, nil
}

// get asks for a small page.
func get(ctx context.Context, client *http.Client, url string) (status int, body string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// poll asks until it succeeds, or ctx ends: then the error has the last answer.
func poll(ctx context.Context, every time.Duration, ask func() error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// freeAddrs returns different free loopback addresses.
func freeAddrs(n int) (addrs []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // when all are found
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// environ is this process's environment without settings that are meant for others.
func environ(more ...string) (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MINIO_") && !strings.HasPrefix(v, "FILEFIELD_") {
			env = append(env, v)
		}
	}
	return append(env, more...)
}
