package main

import (
	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/fold"
)

type CourseDefined struct {
	Course   string `json:"course"`
	Capacity int    `json:"capacity"`
}

type CapacityChanged struct {
	Course   string `json:"course"`
	Capacity int    `json:"capacity"`
}

// StudentSubscribed is an event about a student and a course, with the tags of both.
type StudentSubscribed struct {
	Student string `json:"student"`
	Course  string `json:"course"`
}

func registerCourses(b *codec.Builder) {
	codec.Register[CourseDefined](b, "course.defined", 1,
		codec.Tags(func(e CourseDefined) []string { return []string{"course:" + e.Course} }))
	codec.Register[CapacityChanged](b, "course.capacity-changed", 1,
		codec.Tags(func(e CapacityChanged) []string { return []string{"course:" + e.Course} }))
	codec.Register[StudentSubscribed](b, "course.student-subscribed", 1, codec.Tags(func(e StudentSubscribed) []string {
		return []string{"course:" + e.Course, "student:" + e.Student}
	}))
}

func courseExists(course string) aggregate.Model[bool] {
	return aggregate.NewModel(aggregate.Tagged("course:"+course),
		fold.On(func(bool, CourseDefined) bool { return true }))
}

func capacityOf(course string) aggregate.Model[int] {
	return aggregate.NewModel(aggregate.Tagged("course:"+course),
		fold.On(func(_ int, e CourseDefined) int { return e.Capacity }),
		fold.On(func(_ int, e CapacityChanged) int { return e.Capacity }))
}

func seatsTaken(course string) aggregate.Model[int] {
	return aggregate.NewModel(aggregate.Tagged("course:"+course),
		fold.On(func(n int, _ StudentSubscribed) int { return n + 1 }))
}

func coursesOf(student string) aggregate.Model[int] {
	return aggregate.NewModel(aggregate.Tagged("student:"+student),
		fold.On(func(n int, _ StudentSubscribed) int { return n + 1 }))
}

func isSubscribed(student, course string) aggregate.Model[bool] {
	return aggregate.NewModel(aggregate.Tagged("student:"+student, "course:"+course),
		fold.On(func(bool, StudentSubscribed) bool { return true }))
}

// maxCourses is the limit of courses of a student.
const maxCourses = 5

const (
	ErrCourseExists      = rule("the course exists already")
	ErrNoCourse          = rule("the course does not exist")
	ErrCapacity          = rule("a course has at least one seat")
	ErrSameCapacity      = rule("the course has that capacity already")
	ErrFullyBooked       = rule("the course is fully booked")
	ErrAlreadySubscribed = rule("the student is subscribed already")
	ErrTooManyCourses    = rule("the student has as many courses as one may")
)

func defineCourse(course string, capacity int) aggregate.Decision {
	var exists bool
	return aggregate.Decision{
		Models: aggregate.Models{courseExists(course).Into(&exists)},
		Decide: func() ([]any, error) {
			switch {
			case exists:
				return nil, ErrCourseExists
			case capacity < 1:
				return nil, ErrCapacity
			}
			return []any{CourseDefined{Course: course, Capacity: capacity}}, nil
		},
	}
}

func changeCapacity(course string, capacity int) aggregate.Decision {
	var exists bool
	var current int
	return aggregate.Decision{
		Models: aggregate.Models{
			courseExists(course).Into(&exists),
			capacityOf(course).Into(&current),
		},
		Decide: func() ([]any, error) {
			switch {
			case !exists:
				return nil, ErrNoCourse
			case capacity < 1:
				return nil, ErrCapacity
			case capacity == current:
				return nil, ErrSameCapacity
			}
			return []any{CapacityChanged{Course: course, Capacity: capacity}}, nil
		},
	}
}

// subscribe guards the course and the student, and nothing else. Subscriptions of other
// students to other courses do not conflict with it.
func subscribe(student, course string) aggregate.Decision {
	var exists, subscribed bool
	var capacity, taken, courses int
	return aggregate.Decision{
		Models: aggregate.Models{
			courseExists(course).Into(&exists),
			capacityOf(course).Into(&capacity),
			seatsTaken(course).Into(&taken),
			coursesOf(student).Into(&courses),
			isSubscribed(student, course).Into(&subscribed),
		},
		Decide: func() ([]any, error) {
			switch {
			case !exists:
				return nil, ErrNoCourse
			case taken >= capacity:
				return nil, ErrFullyBooked
			case subscribed:
				return nil, ErrAlreadySubscribed
			case courses >= maxCourses:
				return nil, ErrTooManyCourses
			}
			return []any{StudentSubscribed{Student: student, Course: course}}, nil
		},
	}
}
