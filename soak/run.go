package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/soak/app"
)

// config is what a run is asked for.
type config struct {
	Duration            time.Duration
	NodeEvery, AppEvery time.Duration
	Workers             int
	Largest             int64 // bytes of a file; 0 is 64 MiB
	Seed                uint64
	Dir                 string // for everything the run writes
	Progress            io.Writer
}

// grace is how long a file may be without its row: longer than a client waits.
const grace = 3 * time.Minute

// run does all of it and says what came of it. An error means that the soak
// itself could not be done.
func run(ctx context.Context, c config) (*report, error) {
	if c.Largest == 0 {
		c.Largest = largest
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	s := &soak{config: c, tally: newTally(filepath.Join(c.Dir, violationsFile)), began: time.Now()}
	var err error
	if s.cluster, err = startCluster(ctx, c.Dir); err != nil {
		return nil, err
	}
	defer s.cluster.stop()
	var addrs []string
	for _, n := range s.cluster.nodes {
		addrs = append(addrs, n.addr)
	}
	s.balancer, err = startBalancer(ctx, addrs)
	if err != nil {
		return nil, err
	}
	defer s.balancer.all.Wait()
	defer end() // before the wait
	if err := s.startApps(ctx); err != nil {
		return nil, err
	}
	defer s.stopApps()
	s.load = newLoad(s.apps, s.tally, c.Largest)
	s.progress("the cluster and the app are up after %s", time.Since(s.began).Round(time.Millisecond))
	if err := s.warm(ctx); err != nil {
		return nil, err
	}
	if err := s.underLoad(ctx); err != nil {
		return nil, err
	}
	if err := s.verify(ctx); err != nil {
		return nil, err
	}
	return s.report(), nil
}

// soak is a run.
type soak struct {
	config   config
	began    time.Time
	cluster  *cluster
	balancer *balancer
	apps     []*appProcess // the first lives through the run, the others do not
	load     *load
	tally    *tally

	bases    []app.Stats // of the processes, before the load
	ends     []app.Stats // and after it
	memory   []sample    // of the first
	loaded   time.Duration
	checked  checked
	longest  time.Duration // a node was down
	repaired time.Duration // until the cluster was whole at the end
}

func (s *soak) progress(format string, args ...any) {
	fmt.Fprintf(s.config.Progress, "%s %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// appProcess is one of the app's processes. It keeps its address over its lives.
type appProcess struct {
	name    string
	config  app.Config
	process *process
	lives   int
	log     string
}

func (a *appProcess) url(path string) string { return "http://" + a.config.Addr + path }

func (s *soak) startApps(ctx context.Context) error {
	addrs, err := freeAddrs(2)
	if err != nil {
		return err
	}
	for i, addr := range addrs {
		s.apps = append(s.apps, &appProcess{name: fmt.Sprintf("app%d", i+1), config: app.Config{
			Addr: addr, Endpoint: s.balancer.addr(), AccessKey: accessKey, SecretKey: secretKey, Region: region,
			Database: filepath.Join(s.config.Dir, "rows.sqlite"), Grace: grace,
		}})
	}
	for _, a := range s.apps {
		if err := s.startApp(ctx, a); err != nil {
			s.stopApps()
			return err
		}
	}
	return nil
}

// startApp starts a process and waits until it is ready.
func (s *soak) startApp(ctx context.Context, a *appProcess) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := json.Marshal(a.config)
	if err != nil {
		return err
	}
	a.lives++
	a.log = filepath.Join(s.config.Dir, fmt.Sprintf("%s.%d.log", a.name, a.lives))
	a.process, err = start(s.cluster.supervise, a.log, environ(appVar+"="+string(text)), self)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("the app does not become ready"))
	defer cancel()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	err = poll(ctx, 50*time.Millisecond, func() error {
		status, body, err := get(ctx, client, a.url("/ready"))
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d: %s", status, body)
		}
		return err
	})
	if err != nil {
		printed, _ := os.ReadFile(a.log)
		return fmt.Errorf("%w; it printed:\n%s", err, printed[max(0, len(printed)-4096):])
	}
	return nil
}

func (s *soak) stopApps() {
	var all sync.WaitGroup
	for _, a := range s.apps {
		if a.process != nil {
			all.Go(a.process.stop)
		}
	}
	all.Wait()
}

// warm uses every route once, and then notes what the processes hold.
func (s *soak) warm(ctx context.Context) error {
	for range s.apps {
		w := &worker{load: s.load, ctx: ctx, rand: rand.New(rand.NewPCG(1, 1)), name: "warm", count: len(s.load.journal.ids())}
		w.upload()
		if len(w.files) == 0 {
			return fmt.Errorf("the first upload failed: %v", s.tally.broken())
		}
		w.replace()
		w.download()
	}
	s.bases = make([]app.Stats, len(s.apps))
	for i, a := range s.apps {
		if err := s.settled(ctx, a, &s.bases[i]); err != nil {
			return err
		}
	}
	return nil
}

// settled asks a process what it holds when it has let go of what it can.
func (s *soak) settled(ctx context.Context, a *appProcess, stats *app.Stats) error {
	s.load.client.CloseIdleConnections()
	return s.ask(ctx, a, http.MethodGet, "/stats?settle=true", stats)
}

// ask asks one of the app's own routes.
func (s *soak) ask(ctx context.Context, a *appProcess, method, path string, answer any) error {
	r, err := http.NewRequestWithContext(ctx, method, a.url(path), http.NoBody)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

// underLoad runs the load, the sweeps beside it, and the kills.
func (s *soak) underLoad(ctx context.Context) error {
	running, stop := context.WithTimeout(ctx, s.config.Duration)
	defer stop()
	began := time.Now()
	var beside sync.WaitGroup
	var failed [2]error
	beside.Go(func() { failed[0] = s.killNodes(ctx, running) })
	beside.Go(func() { failed[1] = s.killApps(ctx, running) })
	beside.Go(func() { s.sweeps(ctx, running) })
	beside.Go(func() { s.memory = watchMemory(running, s.apps[0].process.pid) })
	beside.Go(func() { s.reportProgress(running) })
	s.load.run(ctx, running, s.config.Workers, s.config.Seed)
	s.loaded = time.Since(began)
	beside.Wait()
	return errors.Join(append(failed[:], ctx.Err())...)
}

// killNodes kills a node, starts it again after some seconds, and waits until the
// cluster is whole before it kills the next: more than one at a time is more than
// the cluster bears.
func (s *soak) killNodes(ctx, running context.Context) error {
	chance := rand.New(rand.NewPCG(s.config.Seed, 1000))
	for wait(running, s.config.NodeEvery/2); running.Err() == nil; {
		n, began := s.cluster.nodes[chance.IntN(nodes)], time.Now()
		s.load.wholeness.Add(1)
		n.process.kill()
		s.tally.add("node", "killed", 1)
		wait(running, s.config.NodeEvery/8+time.Duration(chance.Int64N(int64(s.config.NodeEvery/4))))
		if err := s.cluster.start(n); err != nil {
			return err
		}
		if err := s.cluster.waitWhole(ctx, 2*time.Minute); err != nil {
			return fmt.Errorf("after node %d was killed: %w; it printed:\n%s", n.number, err, s.cluster.log(n))
		}
		s.load.wholeness.Add(1)
		away := time.Since(began)
		s.progress("node %d was killed at %s, and the cluster was whole again after %s", n.number, began.Format(time.TimeOnly), away.Round(time.Millisecond))
		s.longest = max(s.longest, away)
		wait(running, s.config.NodeEvery-time.Since(began))
	}
	return nil
}

// killApps kills the app's processes but the first, and starts them again.
func (s *soak) killApps(ctx, running context.Context) error {
	chance := rand.New(rand.NewPCG(s.config.Seed, 2000))
	for wait(running, s.config.AppEvery/2); running.Err() == nil; {
		for _, a := range s.apps[1:] {
			a.process.kill()
			s.tally.add("app", "killed", 1)
			wait(running, time.Duration(chance.Int64N(int64(time.Second))))
			if err := s.startApp(ctx, a); err != nil {
				return err
			}
		}
		wait(running, s.config.AppEvery)
	}
	return nil
}

// wait returns after a while, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// sweeps has the first process sweep, again and again.
func (s *soak) sweeps(ctx, running context.Context) {
	for wait(running, 3*time.Second); running.Err() == nil; wait(running, 15*time.Second) {
		var swept app.Swept
		if err := s.ask(ctx, s.apps[0], http.MethodPost, "/sweep", &swept); err != nil {
			s.tally.violation("a sweep failed", "a sweep beside the load: %v", err)
			continue
		}
		s.judge("a sweep beside the load", swept)
	}
}

// judge notes what a sweep did, and finds fault with it.
func (s *soak) judge(which string, swept app.Swept) {
	switch {
	case swept.Error == "":
		s.tally.add("sweep", "good", 1)
	case swept.Kind == core.ErrUnavailable.Code():
		s.tally.add("sweep", "503", 1)
		s.tally.cause("sweep", swept.Error)
	default:
		s.tally.violation("a sweep failed", "%s ended with %s (%s)", which, swept.Error, swept.Kind)
	}
	s.tally.add("sweep", "removed", swept.Report.Deleted)
	for _, f := range swept.Findings {
		if f.Kind == "missing" || f.Kind == "foreign" {
			s.tally.violation("a sweep found "+string(f.Kind), "%s found %+v", which, f)
		}
	}
}

func (s *soak) reportProgress(running context.Context) {
	for wait(running, 30*time.Second); running.Err() == nil; wait(running, 30*time.Second) {
		rss, _ := resident(s.apps[0].process.pid) // 0 where the system does not tell
		s.progress("%d uploads, %d replacements, %d deletions, %d downloads; %d nodes and %d apps killed; refused %d, lost %d; app %d MiB; violations %d",
			s.tally.get("upload", "good"), s.tally.get("replace", "good"), s.tally.get("delete", "good"), s.tally.get("download", "good"),
			s.tally.get("node", "killed"), s.tally.get("app", "killed"),
			s.tally.get("upload", "503")+s.tally.get("replace", "503")+s.tally.get("delete", "503")+s.tally.get("download", "503"),
			s.tally.get("upload", "answer lost")+s.tally.get("replace", "answer lost")+s.tally.get("delete", "answer lost"),
			rss>>20, len(s.tally.broken()))
	}
}
