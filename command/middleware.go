package command

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/reserved"
)

// Validate calls the method Validate() error of commands that have one, and refuses those
// for which it fails, with a [*ValidationError].
func Validate() Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, cmd any) (Reply, error) {
			if v, ok := cmd.(interface{ Validate() error }); ok {
				if err := v.Validate(); err != nil {
					return Reply{Refused: true}, &ValidationError{Type: reflect.TypeOf(cmd), Err: err}
				}
			}
			return next(ctx, cmd)
		}
	}
}

// Authorize refuses the commands for which the function returns an error, with a
// [*ForbiddenError] that wraps it. The actor is the one in the context (see
// [eventstore.WithActor]), or "". The aggregate is not loaded yet: Decide checks what
// depends on its state. Put Authorize after [Validate], so that the function sees valid
// commands only, and inside the middleware that sets the actor.
func Authorize(may func(ctx context.Context, actor string, cmd any) error) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, cmd any) (Reply, error) {
			actor := eventstore.MetadataFrom(ctx).Actor()
			if err := may(ctx, actor, cmd); err != nil {
				return Reply{Refused: true}, &ForbiddenError{Type: reflect.TypeOf(cmd), Actor: actor, Err: err}
			}
			return next(ctx, cmd)
		}
	}
}

// Log logs each command after it was carried out or has failed: its Go type, its duration,
// the ids in the context, the positions of its events, and whether it was a repeat. The level
// is Info, or Warn with the error, and with the stack of a panic that [Recover] inside it has
// caught. A nil logger is slog.Default(); for silence, use slog.DiscardHandler. Put Log
// inside the middleware that sets the ids.
func Log(logger *slog.Logger) Middleware {
	if logger == nil {
		logger = slog.Default()
	}
	return func(next Handler) Handler {
		return func(ctx context.Context, cmd any) (Reply, error) {
			begin := time.Now()
			reply, err := next(ctx, cmd)
			level, message := slog.LevelInfo, "command carried out"
			if err != nil {
				level, message = slog.LevelWarn, "command failed"
			}
			logger.LogAttrs(ctx, level, message, attributes(ctx, cmd, time.Since(begin), reply.Receipt, err)...)
			return reply, err
		}
	}
}

func attributes(
	ctx context.Context, cmd any, took time.Duration, receipt eventstore.Receipt, err error,
) []slog.Attr {
	attrs := []slog.Attr{slog.String("command", fmt.Sprintf("%T", cmd)), slog.Duration("took", took)}
	metadata := eventstore.MetadataFrom(ctx)
	for _, key := range []string{eventstore.CommandID, eventstore.CorrelationID, eventstore.Actor} {
		if value := metadata[key]; value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	if receipt.Last > 0 {
		attrs = append(attrs, slog.Uint64("first", uint64(receipt.First)), slog.Uint64("last", uint64(receipt.Last)),
			slog.Bool("repeated", receipt.Repeated))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	if panicked := (*PanicError)(nil); errors.As(err, &panicked) {
		attrs = append(attrs, slog.String("stack", string(panicked.Stack)))
	}
	return attrs
}

// Timeout ends the context of each command after this time. Zero or negative means no limit.
func Timeout(limit time.Duration) Middleware {
	return func(next Handler) Handler {
		if limit <= 0 {
			return next
		}
		return func(ctx context.Context, cmd any) (Reply, error) {
			ctx, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			return next(ctx, cmd)
		}
	}
}

// Recover turns a panic in the handler that it wraps into a [*PanicError]. Put it outside of
// everything that may panic. Events may have been appended before the panic or not. The error
// of a batch names no type if the panic came after all commands had passed the middleware,
// because it may be one of any command.
func Recover() Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, cmd any) (reply Reply, err error) {
			defer func() {
				if value := recover(); value != nil {
					panicked := &PanicError{Type: reflect.TypeOf(cmd), Value: value, Stack: debug.Stack()}
					if s := stepFrom(ctx); s != nil && s.batch.deciding() {
						panicked.Type = nil
					}
					reply, err = Reply{}, panicked
				}
			}()
			return next(ctx, cmd)
		}
	}
}

// ID puts the command's own id into the context, so that repositories carry out the command
// once, however often it is sent. The id has 1 to 255 bytes and must be unique among the
// commands of the store (see [eventstore.DeriveCommandID]): used for another command, it is an
// [*aggregate.CommandIDError]; "" leaves the context as it is. An id that begins with "yore/" is
// the library's own: it is an error that matches [eventstore.ErrInvalid].
func ID(id func(cmd any) string) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, cmd any) (Reply, error) {
			if id := id(cmd); id != "" {
				if err := reserved.Key(id); err != nil {
					return Reply{}, fmt.Errorf("the id of %T: %w: %w", cmd, eventstore.ErrInvalid, err)
				}
				ctx = eventstore.WithCommandID(ctx, id)
			}
			return next(ctx, cmd)
		}
	}
}

// CorrelationID puts a new correlation id into a context without one: the result of the
// function, or, if it is nil, 26 random letters and digits.
func CorrelationID(newID func() string) Middleware {
	if newID == nil {
		newID = rand.Text
	}
	return func(next Handler) Handler {
		return func(ctx context.Context, cmd any) (Reply, error) {
			if eventstore.MetadataFrom(ctx).CorrelationID() == "" {
				ctx = eventstore.WithCorrelationID(ctx, newID())
			}
			return next(ctx, cmd)
		}
	}
}

// Metadata puts the metadata that the function returns into the context; they replace
// metadata with the same keys. A key that begins with "yore-" is the library's own: it is an
// error that matches [eventstore.ErrInvalid].
func Metadata(of func(ctx context.Context, cmd any) eventstore.Metadata) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, cmd any) (Reply, error) {
			metadata := of(ctx, cmd)
			if err := reserved.Metadata(metadata); err != nil {
				return Reply{}, fmt.Errorf("the metadata of %T: %w: %w", cmd, eventstore.ErrInvalid, err)
			}
			return next(eventstore.WithMetadata(ctx, metadata), cmd)
		}
	}
}
