//go:build race

package variant

// slack is how much more a program with the race detector may allocate: it keeps
// on the heap what others keep on the stack.
const slack = 2
