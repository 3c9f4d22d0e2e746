// Package serverclock estimates the clock of a server across a network.
package serverclock
