package endpoint

import "errors"

// AnswerTo returns what is answered to an error: the answer that it is itself, else that of the
// first cause that it wraps, since it may wrap several, else otherwise.
func AnswerTo[A error](err error, causes []struct {
	Err    error
	Answer A
}, otherwise A,
) A {
	if own, ok := errors.AsType[A](err); ok {
		return own
	}
	for i := range causes {
		if errors.Is(err, causes[i].Err) {
			return causes[i].Answer
		}
	}
	return otherwise
}
