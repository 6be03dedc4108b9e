package main

import (
	"testing"

	"github.com/filefield/filefield/bench/uploadserver/contract"
	"github.com/filefield/filefield/internal/s3test"
)

func TestMain(m *testing.M) { s3test.Main(m) }

func TestAFileIsStoredAndAnotherFormRefused(t *testing.T) { contract.Test(t, handler) }
