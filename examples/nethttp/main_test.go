package main

import (
	"testing"

	"github.com/filefield/filefield/examples/contract"
)

func TestContract(t *testing.T) { contract.Run(t, contract.Build(t)) }

func TestContractWhereBucketsAreMade(t *testing.T) { contract.RunSetUp(t, contract.Build(t)) }
