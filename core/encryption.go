package core

import (
	"context"
	"encoding/xml"
	"fmt"

	"github.com/minio/minio-go/v7/pkg/sse"
)

// encryption compares how new objects are encrypted. A key is compared only
// where one is declared: servers fill in their own.
func (in *inspection) encryption(ctx context.Context) ([]step, error) {
	body, err := in.read(ctx, "encryption", "ServerSideEncryptionConfigurationNotFoundError")
	if err != nil {
		return nil, err
	}
	var config sse.Configuration
	if err := in.parse("encryption", body, &config); err != nil {
		return nil, err
	}
	var have DefaultEncryption
	if len(config.Rules) > 0 {
		have = DefaultEncryption{config.Rules[0].Apply.SSEAlgorithm, config.Rules[0].Apply.KmsMasterKeyID}
	}
	want := in.bucket.declared.Encryption
	if have.Algorithm == want.Algorithm && (want.KeyID == "" || have.KeyID == want.KeyID) {
		return nil, nil
	}
	declared := sse.NewConfigurationSSES3()
	if want.Algorithm != "AES256" {
		declared = sse.NewConfigurationSSEKMS(want.KeyID)
	}
	if body, err = xml.Marshal(declared); err != nil {
		return nil, err
	}
	return []step{{
		differences: []Difference{in.difference(AspectEncryption, have, want, "default encryption is %s, to be %s", have, want)},
		do:          in.write("encryption", body),
	}}, nil
}

// String renders the encryption for people.
func (e DefaultEncryption) String() string {
	switch {
	case e.Algorithm == "":
		return "none"
	case e.KeyID == "":
		return e.Algorithm
	}
	return fmt.Sprintf("%s with key %s", e.Algorithm, e.KeyID)
}
