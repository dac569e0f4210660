//! Which device MLX computes on, and how much memory it has.

use std::sync::OnceLock;

use mlx_rs::{Array, Device, DeviceType, Stream, error::Exception};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// The kind of device that MLX was built for and found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Cpu,
    Metal,
    Cuda,
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cpu => "CPU",
            Self::Metal => "Metal",
            Self::Cuda => "CUDA",
        })
    }
}

/// The default device's backend; does not change while the program runs.
pub fn backend() -> Backend {
    static BACKEND: OnceLock<Backend> = OnceLock::new();
    *BACKEND.get_or_init(|| {
        let gpu = Device::try_default()
            .and_then(|device| device.get_type())
            .is_ok_and(|kind| matches!(kind, DeviceType::Gpu));
        match gpu {
            false => Backend::Cpu,
            true if cfg!(target_os = "macos") => Backend::Metal,
            true => Backend::Cuda,
        }
    })
}

/// What `maquette doctor`, the header and memory admission want to know.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceInfo {
    pub backend: Backend,
    pub name: String,
    /// Bytes that MLX may use at most on this device, and those free now.
    pub memory_total: u64,
    pub memory_available: u64,
    pub threads: usize,
    /// Whether the host shares its memory with the device.
    pub unified_memory: bool,
}

/// Asks the system; takes about a millisecond.
pub fn device_info() -> DeviceInfo {
    let backend = backend();
    let host = host_info(backend);
    match backend {
        Backend::Cpu => host,
        Backend::Metal => DeviceInfo {
            name: gpu_text("device_name").unwrap_or(host.name),
            memory_total: gpu_size("max_recommended_working_set_size").unwrap_or(host.memory_total),
            ..host
        },
        Backend::Cuda => {
            let total = gpu_size("total_memory").or_else(|| gpu_size("memory_size"));
            let used = mlx_rs::memory::active_memory().unwrap_or(0) as u64;
            let free = gpu_size("free_memory");
            DeviceInfo {
                name: gpu_text("device_name").unwrap_or_else(|| "NVIDIA GPU".into()),
                memory_total: total.unwrap_or(host.memory_total),
                memory_available: free
                    .or(total.map(|total| total.saturating_sub(used)))
                    .unwrap_or(host.memory_available),
                unified_memory: false,
                ..host
            }
        }
    }
}

/// Bytes of memory that the host has, or that its container may use.
pub fn host_memory() -> u64 {
    host_info(Backend::Cpu).memory_total
}

fn host_info(backend: Backend) -> DeviceInfo {
    let refresh = RefreshKind::nothing()
        .with_memory(MemoryRefreshKind::nothing().with_ram())
        .with_cpu(CpuRefreshKind::nothing());
    let system = System::new_with_specifics(refresh).ok();
    let system = system.as_ref();
    let cpu = system.and_then(|system| system.cpus().first());
    // A container's limit is lower than the machine's memory.
    let limits = system.and_then(System::cgroup_limits);
    let total = system.map_or(0, System::total_memory);
    let available = system.map_or(0, System::available_memory);
    DeviceInfo {
        backend,
        name: cpu.map_or("CPU", |cpu| cpu.brand().trim()).to_owned(),
        memory_total: limits.as_ref().map_or(total, |l| l.total_memory.min(total)),
        memory_available: limits.map_or(available, |l| l.free_memory.min(available)),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        unified_memory: true,
    }
}

fn gpu_size(key: &str) -> Option<u64> {
    with_gpu_info(key, |info, key| {
        let mut value = 0usize;
        // SAFETY: the handles are valid and `value` is written on success only.
        let status = unsafe { mlx_sys::mlx_device_info_get_size(&mut value, info, key) };
        (status == 0).then_some(value as u64)
    })
}

fn gpu_text(key: &str) -> Option<String> {
    with_gpu_info(key, |info, key| {
        let mut text = std::ptr::null();
        // SAFETY: the handles are valid; the text belongs to `info`, which
        // lives until this closure returns.
        unsafe {
            let status = mlx_sys::mlx_device_info_get_string(&mut text, info, key);
            (status == 0 && !text.is_null()).then(|| {
                std::ffi::CStr::from_ptr(text)
                    .to_string_lossy()
                    .into_owned()
            })
        }
    })
}

fn with_gpu_info<T>(
    key: &str,
    read: impl FnOnce(mlx_sys::mlx_device_info, *const std::ffi::c_char) -> Option<T>,
) -> Option<T> {
    let key = std::ffi::CString::new(key).ok()?;
    // SAFETY: info and device are created, used and freed here, once.
    unsafe {
        let mut info = mlx_sys::mlx_device_info_new();
        let device = mlx_sys::mlx_device_new_type(mlx_sys::mlx_device_type__MLX_GPU, 0);
        let mut present = false;
        let found = mlx_sys::mlx_device_info_get(&mut info, device) == 0
            && mlx_sys::mlx_device_info_has_key(&mut present, info, key.as_ptr()) == 0
            && present;
        let result = if found {
            read(info, key.as_ptr())
        } else {
            None
        };
        mlx_sys::mlx_device_info_free(info);
        mlx_sys::mlx_device_free(device);
        result
    }
}

/// The version of the MLX library in use.
pub fn mlx_version() -> String {
    // SAFETY: the string is created, read and freed here, once.
    unsafe {
        let mut text = mlx_sys::mlx_string_new();
        let status = mlx_sys::mlx_version(&mut text);
        let data = mlx_sys::mlx_string_data(text);
        let version = if status == 0 && !data.is_null() {
            std::ffi::CStr::from_ptr(data)
                .to_string_lossy()
                .into_owned()
        } else {
            "unknown".into()
        };
        mlx_sys::mlx_string_free(text);
        version
    }
}

/// Waits until everything submitted to this thread's stream is done.
pub fn synchronize() -> Result<(), Exception> {
    let stream = Stream::thread_local_or_default();
    // SAFETY: the stream's handle is valid for the call.
    match unsafe { mlx_sys::mlx_synchronize(stream.as_ptr()) } {
        0 => Ok(()),
        _ => Err(Exception::custom("MLX could not wait for its stream")),
    }
}

/// Installs mlx-rs's error handler; without one MLX ends the program. To be
/// called before the first raw call on a thread that makes some.
pub fn init() {
    static INIT: std::sync::Once = std::sync::Once::new();
    // Any wrapped operation installs it.
    INIT.call_once(|| drop(Array::from_int(0).eval()));
}
