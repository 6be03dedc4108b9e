// Package browser holds the library against what apps are reached with: what
// Chromium keeps in its cache, plays, shows, and does not run, and URLs through
// nginx. It has tests alone.
//
//	go test ./browser                  # direct uploads in short
//	go test -tags=uploads ./browser    # and in full, up to 300 MiB
//	FILEFIELD_SCREENSHOTS=/tmp/shots go test ./browser -run TestVideo
//
// The tests need both (on Debian: apt-get install chromium nginx-light), and fail
// where one is missing. FILEFIELD_CHROMIUM names another program than the one found by
// its name. FILEFIELD_SCREENSHOTS names a folder for what a failed test saw last.
package browser
