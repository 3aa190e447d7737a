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

// Validate refuses commands that have a method Validate() error and fail it,
// with a [*ValidationError]. Commands without that method pass.
func Validate() Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, cmd any) (Reply, error) {
			if v, ok := cmd.(interface{ Validate() error }); ok {
				if err := v.Validate(); err != nil {
					return Reply{}, &ValidationError{Type: reflect.TypeOf(cmd), Err: err}
				}
			}
			return next(ctx, cmd)
		}
	}
}

// Authorize refuses the commands for which the function returns an error, with a
// [*ForbiddenError] that carries it. The actor is the one in the context (see
// [eventstore.WithActor]); "" if there is none, which is for the function to
// judge. Nothing of the aggregate has been loaded: what depends on its state is
// for Decide. Put Authorize after [Validate], so that the function sees valid
// commands only, and inside the middleware that sets the actor.
func Authorize(may func(ctx context.Context, actor string, cmd any) error) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, cmd any) (Reply, error) {
			actor := eventstore.MetadataFrom(ctx).Actor()
			if err := may(ctx, actor, cmd); err != nil {
				return Reply{}, &ForbiddenError{Type: reflect.TypeOf(cmd), Actor: actor, Err: err}
			}
			return next(ctx, cmd)
		}
	}
}

// Log logs each command when it is done, with its Go type, how long it took, the
// ids that the context carries, the positions it wrote and whether it was a
// repeat: at level Info, or Warn with the error, and with the stack of a panic that
// [Recover] inside it has caught. A nil logger is slog.Default(); slog.DiscardHandler
// makes one that is silent. Put it inside the middleware that sets the ids that it shall
// show.
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

// Timeout ends the context of each command after this time. Zero and less are no
// limit.
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

// Recover makes a [*PanicError] of a panic in what it wraps, so put it outside
// of what may panic. The panic may have come before or after events were
// appended. In a batch, once all commands are let through, it is nobody's in
// particular, and the error names no type.
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

// ID puts the command's own id into the context, so that repositories
// carry it out once however often it is sent. The id must be unique among the
// commands of the whole store; 1 to 255 bytes. "" leaves the context as it is. One that
// begins with "yore/" is the library's own, and an error that matches
// [eventstore.ErrInvalid].
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

// CorrelationID gives commands whose context carries no correlation id a new
// one: what the function returns, or for nil, 26 random letters and digits.
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

// Metadata puts what the function returns into the context, over what the
// context carries under the same keys. A key that begins with "yore-" is the library's
// own, and an error that matches [eventstore.ErrInvalid].
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
