package core

import (
	"context"
	"encoding/xml"
	"maps"

	"github.com/minio/minio-go/v7/pkg/tags"
)

// tagsXML is a bucket's tags.
type tagsXML struct {
	Tags []struct{ Key, Value string } `xml:"TagSet>Tag"`
}

// tags compares the declared tags. Those of others stay.
func (in *inspection) tags(ctx context.Context) ([]step, error) {
	body, err := in.read(ctx, "tagging", "NoSuchTagSet")
	if err != nil {
		return nil, err
	}
	var config tagsXML
	if err := in.parse("tags", body, &config); err != nil {
		return nil, err
	}
	have := map[string]string{}
	for _, t := range config.Tags {
		have[t.Key] = t.Value
	}
	want := merge(have, in.bucket.declared.Tags)
	if maps.Equal(have, want) {
		return nil, nil
	}
	all, err := tags.NewTags(want, false)
	if err != nil {
		return nil, &Error{Kind: ErrConfig, Op: "set tags", Bucket: in.bucket.name, Err: err, Detail: "the declared tags do not fit beside those the bucket has"}
	}
	if body, err = xml.Marshal(all); err != nil {
		return nil, err
	}
	return []step{{
		differences: []Difference{in.difference(AspectTags, have, want, "the bucket's tags are not as declared")},
		do:          in.afresh(AspectTags, (*inspection).tags, in.write("tagging", body)),
	}}, nil
}
