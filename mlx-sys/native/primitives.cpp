// A graph node whose work is done by a function of the host program.
#include "primitives.h"

#include <memory>
#include <utility>
#include <vector>

#include "mlx/allocator.h"
#include "mlx/backend/cpu/encoder.h"
#include "mlx/c/error.h"
#include "mlx/c/private/mlx.h"
#include "mlx/primitives.h"

namespace mx = mlx::core;

namespace {

// Views borrow shape and strides from the arrays, so both travel together.
struct Call {
  std::vector<mx::array> inputs;
  mx::array output;
  maquette_kernel kernel;
  std::shared_ptr<void> context;

  static maquette_view view(const mx::array& a) {
    return {
        const_cast<void*>(static_cast<const void*>(a.data<char>())),
        a.shape().data(),
        a.strides().data(),
        a.ndim(),
        mlx_dtype_to_c(a.dtype())};
  }

  void operator()() const {
    std::vector<maquette_view> views;
    views.reserve(inputs.size());
    for (const auto& input : inputs) {
      views.push_back(view(input));
    }
    auto out = view(output);
    kernel(context.get(), views.data(), views.size(), &out);
  }
};

class HostPrimitive : public mx::UnaryPrimitive {
 public:
  HostPrimitive(
      mx::Stream stream,
      bool in_place,
      maquette_kernel kernel,
      std::shared_ptr<void> context)
      : UnaryPrimitive(stream),
        in_place_(in_place),
        kernel_(kernel),
        context_(std::move(context)) {}

  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& out) override {
    if (in_place_) {
      out.copy_shared_buffer(inputs[0]);
    } else {
      out.set_data(mx::allocator::malloc(out.nbytes()));
    }
    auto& encoder = mx::cpu::get_command_encoder(stream());
    // The task holds descriptors without primitives: buffers, not history.
    std::vector<mx::array> held;
    held.reserve(inputs.size());
    for (const auto& input : inputs) {
      held.push_back(mx::array::unsafe_weak_copy(input));
    }
    encoder.dispatch(Call{
        std::move(held), mx::array::unsafe_weak_copy(out), kernel_, context_});
  }

  void eval_gpu(const std::vector<mx::array>&, mx::array&) override {
    throw std::runtime_error("host kernels run on CPU streams only");
  }

  const char* name() const override {
    return "HostPrimitive";
  }

 private:
  bool in_place_;
  maquette_kernel kernel_;
  std::shared_ptr<void> context_;
};

} // namespace

extern "C" int maquette_cpu_primitive(
    mlx_array* result,
    const mlx_array* inputs,
    size_t input_count,
    const int* shape,
    size_t ndim,
    mlx_dtype dtype,
    bool in_place,
    maquette_kernel kernel,
    void* context,
    void (*destroy)(void*),
    const mlx_stream stream) {
  std::shared_ptr<void> owned(context, destroy);
  try {
    std::vector<mx::array> arrays;
    arrays.reserve(input_count);
    for (size_t i = 0; i < input_count; i++) {
      arrays.push_back(mlx_array_get_(inputs[i]));
    }
    mlx_array_set_(
        *result,
        mx::array(
            mx::Shape(shape, shape + ndim),
            mlx_dtype_to_cpp(dtype),
            std::make_shared<HostPrimitive>(
                mlx_stream_get_(stream), in_place, kernel, std::move(owned)),
            std::move(arrays)));
  } catch (std::exception& e) {
    mlx_error(e.what());
    return 1;
  }
  return 0;
}
