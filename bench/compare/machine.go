package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/prometheus/procfs"
)

// machine is what the figures are of.
type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory"` // bytes
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	// Commit is the checkout's, as "git describe" names it, or empty.
	Commit string `json:"commit"`
}

// describe looks at this machine. What it does not find stays empty.
func describe(root string) machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH}
	if fs, err := procfs.NewDefaultFS(); err == nil {
		if cpus, err := fs.CPUInfo(); err == nil && len(cpus) > 0 {
			m.CPU = strings.TrimSpace(cpus[0].ModelName)
		}
		if info, err := fs.Meminfo(); err == nil && info.MemTotalBytes != nil {
			m.Memory = int64(*info.MemTotalBytes)
		}
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(release))
	}
	git := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12")
	git.Dir = root
	if commit, err := git.Output(); err == nil {
		m.Commit = strings.TrimSpace(string(commit))
	}
	return m
}

func (m machine) String() string {
	text := fmt.Sprintf("%d × %s, %.0f GiB of memory, Linux %s, %s", m.Cores, m.CPU, float64(m.Memory)/gib, m.Kernel, m.Go)
	if m.Commit != "" {
		text += ", commit " + m.Commit
	}
	return text
}

// quoted writes a command as a shell takes it.
func quoted(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = arg
		if strings.ContainsAny(arg, " |*?$&;<>()[]{}\"'\\`×") || arg == "" {
			words[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}
