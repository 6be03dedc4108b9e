//go:build !race

package variant

const slack = 1
