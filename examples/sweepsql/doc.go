// Package sweepsql shows and tests package sweep on a database: its references
// come from the columns of an SQLite table. The program is the example in
// example_test.go.
package sweepsql
