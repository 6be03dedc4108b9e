package main

import "time"

// measurement is what one run of one way showed.
type measurement struct {
	Scenario string        `json:"scenario"`
	Way      string        `json:"way"`
	Round    int           `json:"round"`
	Uploads  int           `json:"uploads"`
	Failures int           `json:"failures"`
	Bytes    int64         `json:"bytes"`
	Took     time.Duration `json:"took_ns"`
	CPU      time.Duration `json:"server_cpu_ns"`
	// StorageCPU is what the storage used meanwhile.
	StorageCPU time.Duration `json:"storage_cpu_ns"`
	// PeakRSS and PeakAnon are the most memory that was resident, in bytes: all of
	// it, and what is no file's.
	PeakRSS  int64         `json:"peak_rss"`
	PeakAnon int64         `json:"peak_anon"`
	P50      time.Duration `json:"p50_ns"`
	P99      time.Duration `json:"p99_ns"`
	// Requests to the storage per upload, or -1 where it does not count them.
	Requests float64 `json:"requests_per_upload"`
	// Allocations and AllocatedBytes per upload, on the server's heap.
	Allocations    float64 `json:"allocations_per_upload"`
	AllocatedBytes float64 `json:"allocated_bytes_per_upload"`
	// TempBytes is what was written to a disk, or -1 where the folder of temporary
	// files lies in memory.
	TempBytes int64 `json:"temp_bytes"`
	// Failure says what went wrong: the server ended, or an upload was not answered
	// 201. Such a run counts for nothing else.
	Failure string `json:"failure,omitempty"`
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

const (
	mib = 1 << 20
	gib = 1 << 30
)

func (m measurement) throughput() float64 { return float64(m.Bytes) / mib / m.Took.Seconds() }
func (m measurement) rate() float64       { return float64(m.Uploads) / m.Took.Seconds() }
func (m measurement) cpuPerGiB() float64  { return m.CPU.Seconds() / (float64(m.Bytes) / gib) }
func (m measurement) cpuPerFile() float64 { return milliseconds(m.CPU) / float64(m.Uploads) }
func (m measurement) peakMiB() float64    { return float64(m.PeakRSS) / mib }
func (m measurement) anonMiB() float64    { return float64(m.PeakAnon) / mib }
func (m measurement) p50() float64        { return milliseconds(m.P50) }
func (m measurement) p99() float64        { return milliseconds(m.P99) }
func (m measurement) requests() float64   { return m.Requests }
func (m measurement) allocs() float64     { return m.Allocations }

func (m measurement) tempMiB() float64 {
	if m.TempBytes < 0 {
		return -1
	}
	return float64(m.TempBytes) / mib / float64(m.Uploads)
}
