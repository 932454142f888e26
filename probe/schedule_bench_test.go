//go:build unix

package probe

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"
)

func manyJobs(b *testing.B, n int) []Job {
	jobs := make([]Job, n)
	for i := range jobs {
		jobs[i] = Job{Name: fmt.Sprintf("target-%d", i), Schedule: mustSchedule(b, "@every 10s"), Fire: func(time.Time) {}}
	}
	return jobs
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// One operation is one second of real time; read the CPU time of it.
func BenchmarkScheduler10k(b *testing.B) {
	s := newTestScheduler()
	s.Set(manyJobs(b, 10_000))
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	before := cpuTime(b)
	for b.Loop() {
		time.Sleep(time.Second)
	}
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/s")
	cancel()
	<-done
}

// A reload of 10,000 targets while the schedule runs.
func BenchmarkSchedulerSet10k(b *testing.B) {
	s := newTestScheduler()
	jobs := manyJobs(b, 10_000)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	for b.Loop() {
		s.Set(jobs)
	}
	cancel()
	<-done
}
