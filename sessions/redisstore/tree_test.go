package redisstore

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestATreeIsOneSortedSetInLeaves adds and removes at random, at the end, and at the beginning, and
// reads what is there in both directions, from anywhere.
func TestATreeIsOneSortedSetInLeaves(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"a server": server(t).URL(0), "a cluster": cluster(t).URL()} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, Options{URL: url})
			tree := s.keys.tree("test", "slot")
			random := rand.New(rand.NewPCG(1, 2))
			var have []string
			change := func(how, m string) {
				t.Helper()
				i, found := slices.BinarySearch(have, m)
				switch {
				case how == "+" && !found:
					have = slices.Insert(have, i, m)
				case how == "-" && found:
					have = slices.Delete(have, i, i+1)
				}
				if _, err := s.run(ctx(), s.lua.index, tree, how, tree, m); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 400 {
				change("+", fmt.Sprintf("m%04d", random.IntN(10_000)))
				change("+", fmt.Sprintf("z%04d", i))
				change("+", fmt.Sprintf("a%04d", 9999-i))
				change([]string{"+", "-"}[i%2], have[random.IntN(len(have))])
				change("-", fmt.Sprintf("m%04d", random.IntN(10_000)))
			}
			wantTree(t, s, tree, have)
			wantLeaves(t, s, tree, len(have))
			for len(have) > 0 {
				change("-", have[random.IntN(len(have))])
			}
			if n, err := s.client.Do(ctx(), s.client.B().Exists().Key(tree).Build()).AsInt64(); n != 0 || err != nil {
				t.Errorf("a tree without entries has leaves, %v", err)
			}
		})
	}
}

// wantLeaves expects that all entries are in leaves, none of which has more than it may.
func wantLeaves(t *testing.T, s *Store, tree string, entries int) {
	t.Helper()
	names, err := s.client.Do(ctx(), s.client.B().Zrange().Key(tree).Min("0").Max("-1").Build()).AsStrSlice()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(names, "") {
		n, err := s.client.Do(ctx(), s.client.B().Zcard().Key(tree+":"+name).Build()).AsInt64()
		if err != nil || n > leafSize {
			t.Errorf("a leaf has %d entries, %v", n, err)
		}
		entries -= int(n)
	}
	if entries != 0 {
		t.Errorf("%d entries are in no leaf", entries)
	}
}

// wantTree reads all of a tree, and parts of it.
func wantTree(t *testing.T, s *Store, tree string, want []string) {
	t.Helper()
	backward := slices.Clone(want)
	slices.Reverse(backward)
	for back, all := range map[string][]string{"": want, "back": backward} {
		from := map[string]string{"": "", "back": "\xff"}[back]
		if got, _, err := s.walk(ctx(), s.run, tree, from, math.MaxInt32, back); err != nil || !slices.Equal(got, all) {
			t.Errorf("%q: read are %d entries of %d, %v", back, len(got), len(all), err)
		}
		for i := range len(all) {
			part := all[i+1 : min(i+1+leafSize+1, len(all))]
			got, _, err := s.walk(ctx(), s.run, tree, all[i], leafSize+1, back)
			if err != nil || !slices.Equal(got, part) {
				t.Fatalf("%q: after %s are %q, not %q, %v", back, all[i], got, part, err)
			}
		}
	}
}
