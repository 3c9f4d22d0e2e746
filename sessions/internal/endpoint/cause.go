package endpoint

import "errors"

// AnswerTo returns the response for an error: the error itself if it is one, or else that of the
// first cause in the list that it wraps, or else otherwise.
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
